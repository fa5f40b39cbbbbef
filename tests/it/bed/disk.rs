//! A small disk of a test's own, in memory, that it can fill to the last byte.

use std::fs::{File, remove_file};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use super::folder::Folder;
use super::process::{as_root, run_well};
use super::server::PATIENCE;

/// A disk mounted in a folder; unmounted when the folder is swept, whoever sweeps it.
pub struct Disk {
    path: PathBuf,
}

impl Disk {
    /// Mounts an empty disk of so many mebibytes as `name` in the folder. Takes root, or a `sudo`
    /// that asks for no password.
    pub async fn mount(folder: &Folder, name: &str, mebibytes: u32) -> Self {
        let path = folder.join(name);
        std::fs::create_dir(&path).expect("make a mount point");
        let mut mount = as_root("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={mebibytes}m"), "supportline-test"]);
        run_well(
            "mount",
            folder.path(),
            {
                mount.arg(&path);
                mount
            },
            PATIENCE,
        )
        .await;
        Self { path }
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Takes all the space that is left.
    pub fn fill(&self) {
        let mut ballast = File::options().create(true).append(true).open(self.ballast()).unwrap();
        let page = [1; 4_096];
        loop {
            match ballast.write_all(&page) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::StorageFull => return,
                Err(error) => panic!("fill a disk: {error}"),
            }
        }
    }

    /// Gives the space back.
    pub fn free(&self) {
        remove_file(self.ballast()).expect("remove what filled the disk");
    }

    fn ballast(&self) -> PathBuf {
        self.path.join("ballast")
    }
}
