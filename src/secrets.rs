//! The two secrets that an embedded installation makes for itself at its first start and keeps in
//! files of its data folder, which only its owner can read.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use anyhow::Context;
use common::{
    clock::Entropy,
    keys::{NumberKey, hex},
};
use secrecy::SecretString;

/// The fewest characters of a token, as of `--admin-token`: an emptied file must not let anybody in.
const TOKEN_CHARACTERS_MIN: usize = 16;

/// Where the number key lies.
pub fn number_key_file(data_dir: &Path) -> PathBuf {
    data_dir.join("number-key")
}

/// Where the admin token lies.
pub fn admin_token_file(data_dir: &Path) -> PathBuf {
    data_dir.join("admin-token")
}

/// The folder's number key. Made now if there is none, unless there are numbers already that were
/// made with one: of the key with the fingerprint `used`.
pub fn number_key(
    data_dir: &Path,
    used: Option<&str>,
    entropy: &dyn Entropy,
) -> anyhow::Result<NumberKey> {
    let path = number_key_file(data_dir);
    if let Some(used) = used {
        anyhow::ensure!(
            path.exists(),
            "{} is missing, and tickets are numbered with the key in it (fingerprint {used}): put \
             it back from a backup",
            path.display()
        );
    }
    let text = kept(&path, || NumberKey::generate(entropy).to_hex())?;
    parse_number_key(&path, &text)
}

/// The folder's number key, which must be there.
pub fn existing_number_key(data_dir: &Path) -> anyhow::Result<NumberKey> {
    let path = number_key_file(data_dir);
    let text = fs::read_to_string(&path).with_context(|| unreadable(&path))?;
    parse_number_key(&path, &text)
}

/// The folder's admin token, made now if there is none.
pub fn admin_token(data_dir: &Path, entropy: &dyn Entropy) -> anyhow::Result<SecretString> {
    let path = admin_token_file(data_dir);
    let text = kept(&path, || {
        let mut bytes = [0; 32];
        entropy.fill(&mut bytes);
        hex(&bytes)
    })?;
    let token = text.trim();
    let fit = token.len() >= TOKEN_CHARACTERS_MIN && token.bytes().all(|b| b.is_ascii_graphic());
    anyhow::ensure!(
        fit,
        "{} holds no admin token: expected {TOKEN_CHARACTERS_MIN} or more visible ASCII \
         characters; remove the file to have one made",
        path.display()
    );
    Ok(SecretString::from(token))
}

fn parse_number_key(path: &Path, text: &str) -> anyhow::Result<NumberKey> {
    NumberKey::from_hex(text.trim())
        .with_context(|| format!("{} holds no number key", path.display()))
}

/// The file's text; where there is no file, makes one that holds what `make` returns.
fn kept(path: &Path, make: impl FnOnce() -> String) -> anyhow::Result<String> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let text = make();
            write(path, &text).with_context(|| format!("cannot write {}", path.display()))?;
            Ok(text)
        }
        Err(error) => Err(error).with_context(|| unreadable(path)),
    }
}

fn unreadable(path: &Path) -> String {
    format!("cannot read {}", path.display())
}

/// Writes a file that only its owner can read, whole or not at all. The data folder is this
/// process's alone, so nobody else writes the same one.
fn write(path: &Path, text: &str) -> io::Result<()> {
    let half_written = path.with_extension("new");
    // Left by a start that was killed: its mode may not be ours.
    match fs::remove_file(&half_written) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file =
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(&half_written)?;
    writeln!(file, "{text}")?;
    file.sync_all()?;
    fs::rename(&half_written, path)?;
    // A name survives a power cut only once its folder is written.
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use common::clock::SystemEntropy;
    use secrecy::ExposeSecret;

    use super::*;

    fn folder() -> tempfile::TempDir {
        tempfile::tempdir().unwrap()
    }

    #[test]
    fn a_secret_is_made_once_and_read_ever_after() {
        let folder = folder();
        let key = || number_key(folder.path(), None, &SystemEntropy).unwrap().to_hex();
        let token =
            || admin_token(folder.path(), &SystemEntropy).unwrap().expose_secret().to_owned();
        assert_eq!((key(), token()), (key(), token()));
        assert_ne!(key(), token());
        assert_eq!(existing_number_key(folder.path()).unwrap().to_hex(), key());
    }

    #[test]
    fn only_the_owner_can_read_it_even_where_a_killed_start_left_half_a_file() {
        let folder = folder();
        fs::write(folder.path().join("number-key.new"), "half").unwrap();
        number_key(folder.path(), None, &SystemEntropy).unwrap();
        admin_token(folder.path(), &SystemEntropy).unwrap();
        for path in [number_key_file(folder.path()), admin_token_file(folder.path())] {
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_missing_key_is_not_made_anew_where_one_was_used() {
        let folder = folder();
        let error = number_key(folder.path(), Some("00aa"), &SystemEntropy).err().unwrap();
        assert!(error.to_string().contains("is missing"), "{error}");
        assert!(!number_key_file(folder.path()).exists());
        let made = number_key(folder.path(), None, &SystemEntropy).unwrap().to_hex();
        let read = number_key(folder.path(), Some("00aa"), &SystemEntropy).unwrap().to_hex();
        assert_eq!(made, read);
    }

    #[test]
    fn a_damaged_file_is_refused_and_not_replaced() {
        let folder = folder();
        fs::write(number_key_file(folder.path()), "hunter2").unwrap();
        fs::write(admin_token_file(folder.path()), "\n").unwrap();
        let errors = [
            number_key(folder.path(), None, &SystemEntropy).err().unwrap(),
            admin_token(folder.path(), &SystemEntropy).err().unwrap(),
        ];
        for error in errors {
            assert!(!format!("{error:#}").contains("hunter2"));
        }
        assert_eq!(fs::read_to_string(number_key_file(folder.path())).unwrap(), "hunter2");
    }
}
