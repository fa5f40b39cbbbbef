//! Why the settings are refused: one line, for whoever made them.

use std::path::PathBuf;

use thiserror::Error;

use super::setting::Setting;

/// Settings the program cannot start with. Its text is one line, names the setting as it was
/// given, and holds no secret.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// A variable or a file's key that nothing reads.
    #[error("{place} is no setting; the nearest one is {nearest}")]
    Unknown {
        /// The name, in a file with its line.
        place: String,
        /// The known name most like it.
        nearest: &'static str,
    },
    /// A value that the setting does not take.
    #[error("{place} is {value}; accepted: {accepted}")]
    Refused {
        /// The flag, the variable, or the file's line and key.
        place: String,
        /// The value, or that it is secret.
        value: String,
        /// What is accepted instead.
        accepted: String,
    },
    /// A variable whose value is not text at all.
    #[error("{0} is not UTF-8; accepted: text")]
    NotText(&'static str),
    /// The file cannot be read.
    #[error(
        "{place} is {path:?}, which cannot be read: {source}; accepted: the path of a TOML file"
    )]
    Unreadable {
        /// The flag or variable that names the file.
        place: String,
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The file is not TOML.
    #[error("{path}:{line} is not TOML: {reason}", path = path.display())]
    NotToml {
        /// The file.
        path: PathBuf,
        /// Where, from 1.
        line: usize,
        /// What is wrong, without the text itself.
        reason: String,
    },
    /// Some of the three servers are set.
    #[error(
        "of the three servers only {given} is set; missing: {missing}; set all three for a \
         distributed installation, or none for the embedded one"
    )]
    SomeServers {
        /// Those that are, as they were given.
        given: String,
        /// Those that are not.
        missing: String,
    },
    /// A distributed installation without its secret.
    #[error(
        "number-key (SUPPORT_NUMBER_KEY) is not set; a distributed installation needs one, the \
         same in every process: make it with `openssl rand -hex 32`"
    )]
    NoNumberKey,
    /// Another secret than the one in use.
    #[error(
        "number-key (SUPPORT_NUMBER_KEY, or the file number-key in the data folder) is a secret with \
         the fingerprint {fingerprint}, which the stored tickets are not numbered with; accepted: the \
         key that they are"
    )]
    ForeignNumberKey {
        /// Of the key that was given.
        fingerprint: String,
    },
    /// A spool beside a store that needs none.
    #[error(
        "{0} is set, and none of the three servers; an embedded installation has no broker to wait \
         for, and its store is its only log: leave it out, or set database-url, amqp-url and redis-url"
    )]
    SpoolWithoutServers(
        /// The setting as it was given.
        String,
    ),
    /// A role of a distributed installation without its servers.
    #[error(
        "`supportline {role}` needs database-url, amqp-url and redis-url (DATABASE_URL, AMQP_URL, \
         REDIS_URL), and none is set; `supportline serve` runs every role without a server"
    )]
    NoServers {
        /// The role's subcommand.
        role: &'static str,
    },
}

impl ConfigError {
    /// A value that fits its setting's shape and that the part it is for cannot work with.
    #[must_use]
    pub fn unusable(setting: &Setting) -> Self {
        Self::Refused {
            place: format!("{} ({})", setting.name, setting.environment),
            value: "of the right shape but cannot be used".to_owned(),
            accepted: setting.documentation().accepted,
        }
    }
}
