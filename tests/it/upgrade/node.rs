//! A process that is another program in its next life.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crate::bed::client::Client;
use crate::bed::instance::Instance;
use crate::bed::system::TestSystem;

/// Started by way of a link, which leads elsewhere when it is started again.
pub struct Node {
    link: PathBuf,
    instance: Instance,
}

impl Node {
    /// Starts a role of that program and waits until it is ready.
    pub async fn start(system: &TestSystem, name: &str, role: &str, program: &Path) -> Self {
        let link = system.folder().join(name);
        symlink(program, &link).unwrap();
        let instance = system.start_program(&link, role);
        instance.ready().await;
        Self { link, instance }
    }

    /// Stops it in good order and starts it again as that program, which leaves the schema alone, as
    /// the operations guide has it.
    pub async fn becomes(&self, program: &Path) {
        let stopped = self.instance.stop_gracefully().await;
        assert_eq!(stopped.status.code(), Some(0), "{}", self.instance.log());
        std::fs::remove_file(&self.link).unwrap();
        symlink(program, &self.link).unwrap();
        self.instance.set_env("SUPPORT_NO_MIGRATE", "true");
        self.instance.start_again().await;
    }

    pub fn client(&self) -> &Client {
        self.instance.client()
    }
}
