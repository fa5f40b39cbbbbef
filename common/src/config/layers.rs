//! What was given where: defaults, then the file, the environment and the flags.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fmt, fs,
    path::{Path, PathBuf},
};

use secrecy::{ExposeSecret, SecretString};

use super::{
    error::ConfigError,
    file,
    setting::{DEFAULTS, Kind, Setting, nearest},
    value::{masked_url, quoted},
};

/// The variables with this prefix are ours, so one that nothing reads is a mistake.
const PREFIX: &str = "SUPPORT_";

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// The program itself.
    Default,
    /// A line of a file, counted from 1.
    File {
        /// The file as it was named.
        path: PathBuf,
        /// The line.
        line: usize,
    },
    /// The environment.
    Environment,
    /// The command line.
    Flag,
}

impl Origin {
    /// The setting's name as whoever gave the value wrote it.
    pub(super) fn place(&self, setting: &Setting) -> String {
        match self {
            Self::Default => setting.name.to_owned(),
            Self::File { .. } => format!("{self}: {}", setting.name),
            Self::Environment => setting.environment.to_owned(),
            Self::Flag => format!("--{}", setting.name),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Environment => f.write_str("environment"),
            Self::Flag => f.write_str("flag"),
        }
    }
}

/// A value that was given. Kept as a secret until it is known whether it is one.
#[derive(Debug, Clone)]
pub(super) struct Given {
    pub(super) text: SecretString,
    pub(super) origin: Origin,
}

/// Values by the names of their settings; what is not set is absent.
pub(super) type Layer = BTreeMap<&'static str, Given>;

/// Every setting's strongest value.
#[derive(Debug)]
pub struct Layers(Layer);

impl Layers {
    /// Lays the flags over the environment over the file that either names over the defaults.
    ///
    /// The environment may be the whole process's: variables that are not ours are passed over.
    pub fn gather(
        flags: Vec<(&'static Setting, String)>,
        environment: impl Iterator<Item = (OsString, OsString)>,
    ) -> Result<Self, ConfigError> {
        let flags = flags.into_iter().map(|(setting, text)| {
            let given = Given { text: SecretString::from(text), origin: Origin::Flag };
            (setting.name, given)
        });
        let mut strong = of_environment(environment)?;
        strong.extend(flags);
        let mut layers = file::parse(Path::new("defaults.toml"), DEFAULTS)?;
        for given in layers.values_mut() {
            given.origin = Origin::Default;
        }
        if let Some(given) = strong.get(Setting::CONFIG.name) {
            layers.extend(of_file(given)?);
        }
        layers.extend(strong);
        Ok(Self(layers))
    }

    pub(super) fn get(&self, setting: &Setting) -> Option<&Given> {
        self.0.get(setting.name)
    }

    /// Whether the setting has a value, be it the default one.
    pub(super) fn is_set(&self, setting: &Setting) -> bool {
        self.get(setting).is_some()
    }

    /// The setting's value, if it has one; refused when `parse` finds none in the text.
    pub(super) fn optional<T>(
        &self,
        setting: &Setting,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, ConfigError> {
        let Some(given) = self.get(setting) else { return Ok(None) };
        let text = given.text.expose_secret();
        parse(text).map(Some).ok_or_else(|| refused(setting, &given.origin, text))
    }

    /// The value of a setting that has a default.
    pub(super) fn required<T>(
        &self,
        setting: &Setting,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, ConfigError> {
        self.optional(setting, parse)?.ok_or_else(|| refused(setting, &Origin::Default, ""))
    }
}

fn refused(setting: &Setting, origin: &Origin, text: &str) -> ConfigError {
    let value = match setting.kind {
        Kind::Plain | Kind::Switch => quoted(text),
        Kind::Secret => "a secret of another shape".to_owned(),
        Kind::Url => quoted(&masked_url(text)),
    };
    let accepted = setting.documentation().accepted;
    ConfigError::Refused { place: origin.place(setting), value, accepted }
}

fn of_environment(
    variables: impl Iterator<Item = (OsString, OsString)>,
) -> Result<Layer, ConfigError> {
    let mut layer = Layer::new();
    // A shell's way to unset a variable for one command is to leave it empty.
    for (name, text) in variables.filter(|(_, text)| !text.is_empty()) {
        let known = Setting::ALL.iter().find(|setting| name == setting.environment);
        let Some(setting) = known else {
            refuse_ours(&name.to_string_lossy())?;
            continue;
        };
        let text = text.into_string().map_err(|_| ConfigError::NotText(setting.environment))?;
        let given = Given { text: SecretString::from(text), origin: Origin::Environment };
        layer.insert(setting.name, given);
    }
    Ok(layer)
}

fn refuse_ours(name: &str) -> Result<(), ConfigError> {
    if !name.starts_with(PREFIX) {
        return Ok(());
    }
    let nearest = nearest(name, Setting::ALL.iter().map(|setting| setting.environment));
    Err(ConfigError::Unknown { place: name.to_owned(), nearest })
}

fn of_file(named: &Given) -> Result<Layer, ConfigError> {
    let path = PathBuf::from(named.text.expose_secret());
    let text = fs::read_to_string(&path).map_err(|source| ConfigError::Unreadable {
        place: named.origin.place(&Setting::CONFIG),
        path: path.clone(),
        source,
    })?;
    file::parse(&path, &text)
}
