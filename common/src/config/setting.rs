//! The settings there are, and what is written about them.

/// The documented defaults: the weakest layer, and the text of every `--help`.
pub(super) const DEFAULTS: &str = include_str!("defaults.toml");

/// What may be shown of a value, and how it is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Anything.
    Plain,
    /// `true` or `false`; as a flag, its mere presence says `true`.
    Switch,
    /// Never shown.
    Secret,
    /// Shown without its password.
    Url,
}

/// What a setting is about. Each role uses some sections as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Section {
    /// Every command.
    Program,
    /// Where a process that runs until it is told to stop is met.
    Address,
    /// A process that runs until it is told to stop.
    Process,
    /// The backends in the process itself.
    Embedded,
    /// The backends on servers.
    Distributed,
    /// The secret that all processes of an installation share.
    Installation,
    /// Whoever answers clients over HTTP: who staff are, and which client is which.
    Clients,
    /// The public edge.
    Edge,
    /// The queue's consumer.
    Worker,
    /// How long tickets are kept: whoever erases them, and whoever takes them over.
    Keeping,
}

/// One setting.
#[derive(Debug, PartialEq, Eq)]
pub struct Setting {
    /// Its name in a file and, after `--`, as a flag.
    pub name: &'static str,
    /// Its name in the environment.
    pub environment: &'static str,
    /// What may be shown of it.
    pub kind: Kind,
    /// What it is about.
    pub section: Section,
}

/// What `defaults.toml` says of a setting.
#[derive(Debug, PartialEq, Eq)]
pub struct Documentation {
    /// What it means.
    pub meaning: String,
    /// What values it takes.
    pub accepted: String,
    /// The value it has when nothing is set, as a file would say it; empty for none.
    pub default: &'static str,
}

macro_rules! settings {
    ($($constant:ident: $name:literal, $environment:literal, $kind:ident, $section:ident;)+) => {
        impl Setting {
            $(
                #[doc = concat!("`", $name, "`")]
                pub const $constant: Self = Self {
                    name: $name,
                    environment: $environment,
                    kind: Kind::$kind,
                    section: Section::$section,
                };
            )+

            /// Every setting, in the order of `defaults.toml`.
            pub const ALL: &'static [&'static Self] = &[$(&Self::$constant),+];
        }
    };
}

settings! {
    CONFIG: "config", "SUPPORT_CONFIG", Plain, Program;
    LOG_FORMAT: "log-format", "SUPPORT_LOG_FORMAT", Plain, Program;
    LISTEN: "listen", "SUPPORT_LISTEN", Plain, Address;
    SHUTDOWN_GRACE: "shutdown-grace", "SUPPORT_SHUTDOWN_GRACE", Plain, Process;
    NO_MIGRATE: "no-migrate", "SUPPORT_NO_MIGRATE", Switch, Process;
    DATA_DIR: "data-dir", "SUPPORT_DATA_DIR", Plain, Embedded;
    DATABASE_URL: "database-url", "DATABASE_URL", Url, Distributed;
    AMQP_URL: "amqp-url", "AMQP_URL", Url, Distributed;
    REDIS_URL: "redis-url", "REDIS_URL", Url, Distributed;
    INTAKE_QUEUES: "intake-queues", "SUPPORT_INTAKE_QUEUES", Plain, Distributed;
    NUMBER_KEY: "number-key", "SUPPORT_NUMBER_KEY", Secret, Installation;
    ADMIN_TOKEN: "admin-token", "SUPPORT_ADMIN_TOKEN", Secret, Clients;
    TRUSTED_PROXIES: "trusted-proxies", "SUPPORT_TRUSTED_PROXIES", Plain, Clients;
    CLIENT_ADDRESS_HEADER: "client-address-header", "SUPPORT_CLIENT_ADDRESS_HEADER", Plain, Clients;
    LIMIT_CREATE: "limit-create", "SUPPORT_LIMIT_CREATE", Plain, Edge;
    LIMIT_LOOKUP: "limit-lookup", "SUPPORT_LIMIT_LOOKUP", Plain, Edge;
    LIMIT_STATS: "limit-stats", "SUPPORT_LIMIT_STATS", Plain, Edge;
    LIMIT_ATTEMPTS: "limit-attempts", "SUPPORT_LIMIT_ATTEMPTS", Plain, Edge;
    LIMIT_GUESSES: "limit-guesses", "SUPPORT_LIMIT_GUESSES", Plain, Clients;
    REPLY_WAIT: "reply-wait", "SUPPORT_REPLY_WAIT", Plain, Edge;
    UNACCOUNTED_AFTER: "unaccounted-after", "SUPPORT_UNACCOUNTED_AFTER", Plain, Edge;
    SPOOL_DIR: "spool-dir", "SUPPORT_SPOOL_DIR", Plain, Edge;
    SPOOL_MAX: "spool-max", "SUPPORT_SPOOL_MAX", Plain, Edge;
    CORS_ORIGINS: "cors-origins", "SUPPORT_CORS_ORIGINS", Plain, Edge;
    WORKER_LANES: "worker-lanes", "SUPPORT_WORKER_LANES", Plain, Worker;
    BATCH_MAX: "batch-max", "SUPPORT_BATCH_MAX", Plain, Worker;
    RETENTION: "retention", "SUPPORT_RETENTION", Plain, Keeping;
}

impl Setting {
    /// The setting with this name in a file.
    pub(super) fn named(name: &str) -> Option<&'static Self> {
        Self::ALL.iter().copied().find(|setting| setting.name == name)
    }

    /// What `defaults.toml` says of it.
    #[must_use]
    pub fn documentation(&self) -> Documentation {
        let (comment, default) = entry(self.name);
        let comment = comment.join(" ");
        let (meaning, accepted) = comment.split_once(" Accepted: ").unwrap_or((&comment, ""));
        Documentation { meaning: meaning.to_owned(), accepted: accepted.to_owned(), default }
    }
}

/// The comment right above a key of `defaults.toml`, line by line, and its value.
fn entry(key: &str) -> (Vec<&'static str>, &'static str) {
    let mut comment = Vec::new();
    for line in DEFAULTS.lines() {
        match (line.strip_prefix("# "), line.split_once(" = ")) {
            (Some(text), _) => comment.push(text),
            (None, Some((name, value))) if name == key => {
                return (comment, value.trim_matches('"'));
            }
            _ => comment.clear(),
        }
    }
    (Vec::new(), "")
}

/// The candidate that looks most like `name`, for somebody who mistyped it.
pub(super) fn nearest<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> &'a str {
    let name = name.to_lowercase();
    let likeness = |candidate: &str| strsim::jaro_winkler(&name, &candidate.to_lowercase());
    candidates.max_by(|a, b| likeness(a).total_cmp(&likeness(b))).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_is_documented_and_nothing_else_is() {
        let keys = DEFAULTS
            .lines()
            .filter(|line| !line.starts_with('#'))
            .filter_map(|line| line.split_once(" = "))
            .map(|(key, _)| key);
        assert!(keys.eq(Setting::ALL.iter().map(|setting| setting.name)));
        for setting in Setting::ALL {
            let Documentation { meaning, accepted, .. } = setting.documentation();
            assert!(meaning.ends_with('.'), "{}: {meaning}", setting.name);
            assert!(!accepted.is_empty() && !accepted.ends_with('.'), "{}", setting.name);
        }
    }

    #[test]
    fn a_setting_has_the_same_name_everywhere() {
        for setting in Setting::ALL {
            let shouted = setting.name.to_uppercase().replace('-', "_");
            let prefix = if setting.kind == Kind::Url { "" } else { "SUPPORT_" };
            assert_eq!(setting.environment, format!("{prefix}{shouted}"));
        }
    }

    #[test]
    fn a_mistyped_name_leads_to_the_one_that_was_meant() {
        let names = || Setting::ALL.iter().map(|setting| setting.name);
        assert_eq!(nearest("lsiten", names()), "listen");
        assert_eq!(nearest("reply_wait", names()), "reply-wait");
        assert_eq!(nearest("Worker-Lane", names()), "worker-lanes");
    }
}
