//! What an embedded installation says on the terminal when it starts.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::Path,
};

use chrono::{DateTime, Utc};
use common::clock::rfc3339;

use crate::secrets::{admin_token_file, number_key_file};

/// What there is to tell.
pub struct Welcome<'a> {
    /// Where it listens.
    pub address: SocketAddr,
    /// Where its data lies.
    pub data_dir: &'a Path,
    /// Whether the admin token lies there, too, and is not a setting.
    pub keeps_token: bool,
    /// For the example.
    pub now: DateTime<Utc>,
}

impl Welcome<'_> {
    /// Whether the installation is about to be made: nobody has read the whole text yet.
    pub fn is_first(data_dir: &Path, keeps_token: bool) -> bool {
        keeps_token && !admin_token_file(data_dir).exists()
    }

    /// Every start's two lines.
    pub fn short(&self) -> String {
        format!(
            "Supportline {} listens on {}\nData: {}; admin token: {}",
            env!("CARGO_PKG_VERSION"),
            self.url(),
            self.data_dir.display(),
            self.token_place(),
        )
    }

    /// The first start's: what to paste next.
    pub fn full(&self) -> String {
        let url = self.url();
        let timestamp = rfc3339(self.now);
        let token = if self.keeps_token {
            format!("$(cat {})", quoted(&admin_token_file(self.data_dir)))
        } else {
            "YOUR-ADMIN-TOKEN".to_owned()
        };
        format!(
            r#"{short}
Keep {key} with every backup: tickets are numbered with it.

Create a ticket:
  curl -sS {url}/api/support/ticket -H 'Content-Type: application/json' -d '{{"name": "Ada Lovelace", "email": "ada@example.org", "subject": "technical", "message": "The engine has stopped.", "timestamp": "{timestamp}"}}'
Look it up by the number in the answer, or, with all that was sent, by its id:
  curl -sS {url}/api/support/ticket/SUP-…
See the statistics:
  curl -sS {url}/api/support/stats -H "Authorization: Bearer {token}"
All that it answers: {url}/docs
Stop it with Ctrl-C. `supportline --help` tells the rest.
"#,
            short = self.short(),
            key = number_key_file(self.data_dir).display(),
        )
    }

    /// The address as a browser on this machine takes it.
    fn url(&self) -> String {
        let ip = match self.address.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
            ip => ip,
        };
        format!("http://{}", SocketAddr::new(ip, self.address.port()))
    }

    fn token_place(&self) -> String {
        if self.keeps_token {
            admin_token_file(self.data_dir).display().to_string()
        } else {
            "as set".to_owned()
        }
    }
}

/// A path for a shell, in double quotes already.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
    if text.chars().all(plain) { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn welcome(data_dir: &Path) -> Welcome<'_> {
        Welcome {
            address: "0.0.0.0:8080".parse().unwrap(),
            data_dir,
            keeps_token: true,
            now: DateTime::UNIX_EPOCH,
        }
    }

    #[test]
    fn the_text_can_be_pasted() {
        let text = welcome(Path::new("./data")).full();
        assert!(text.contains("curl -sS http://127.0.0.1:8080/api/support/ticket -H"), "{text}");
        assert!(text.contains("\"timestamp\": \"1970-01-01T00:00:00.000Z\"}'"), "{text}");
        assert!(text.contains("\"Authorization: Bearer $(cat ./data/admin-token)\""), "{text}");
        let spaced = welcome(Path::new("/my data")).full();
        assert!(spaced.contains("$(cat '/my data/admin-token')"), "{spaced}");
    }

    #[test]
    fn the_first_start_is_the_one_before_there_is_a_token() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Welcome::is_first(folder.path(), true));
        assert!(!Welcome::is_first(folder.path(), false));
        std::fs::write(admin_token_file(folder.path()), "token").unwrap();
        assert!(!Welcome::is_first(folder.path(), true));
    }

    #[test]
    fn a_token_that_is_a_setting_is_not_said_to_lie_in_the_folder() {
        let text = Welcome { keeps_token: false, ..welcome(Path::new("./data")) }.full();
        assert!(!text.contains("admin-token"), "{text}");
    }
}
