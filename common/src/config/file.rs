//! A settings file: flat TOML, keys as in `defaults.toml`.

use std::path::Path;

use secrecy::SecretString;
use toml::de::{DeTable, DeValue};

use super::{
    error::ConfigError,
    layers::{Given, Layer, Origin},
    setting::{Setting, nearest},
};

/// Reads the text of the file at `path`.
pub(super) fn parse(path: &Path, text: &str) -> Result<Layer, ConfigError> {
    let line_at = |offset: usize| 1 + text[..offset].matches('\n').count();
    let table = DeTable::parse(text).map_err(|error| ConfigError::NotToml {
        path: path.to_owned(),
        line: error.span().map_or(1, |span| line_at(span.start)),
        // Not the error itself: it shows the lines around, and they may hold a secret.
        reason: error.message().lines().collect::<Vec<_>>().join(" "),
    })?;
    let mut layer = Layer::new();
    // By place and not by name, so that the first mistake is told first.
    let mut entries: Vec<_> = table.get_ref().iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    for (key, value) in entries {
        let place = Place { path, line: line_at(key.span().start), key: key.get_ref() };
        if let Some((setting, given)) = entry(&place, value.get_ref())? {
            layer.insert(setting.name, given);
        }
    }
    Ok(layer)
}

/// Where a value stands.
struct Place<'a> {
    path: &'a Path,
    line: usize,
    key: &'a str,
}

/// One line of the file; nothing when its text is empty.
fn entry(
    place: &Place<'_>,
    value: &DeValue<'_>,
) -> Result<Option<(&'static Setting, Given)>, ConfigError> {
    let origin = Origin::File { path: place.path.to_owned(), line: place.line };
    let Some(setting) = Setting::named(place.key) else {
        let nearest = nearest(place.key, Setting::ALL.iter().map(|setting| setting.name));
        let place = format!("{origin}: {}", place.key);
        return Err(ConfigError::Unknown { place, nearest });
    };
    let text = match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) if number.radix() == 10 => Some(number.as_str().to_owned()),
        DeValue::Boolean(switch) => Some(switch.to_string()),
        _ => None,
    };
    match text {
        Some(text) if text.is_empty() => Ok(None),
        Some(text) if *setting != Setting::CONFIG => {
            Ok(Some((setting, Given { text: SecretString::from(text), origin })))
        }
        _ => Err(ConfigError::Refused {
            place: origin.place(setting),
            value: if text.is_some() { "in a file".into() } else { value.type_str().into() },
            accepted: setting.documentation().accepted,
        }),
    }
}
