//! Every setting, its value and where it came from, for `supportline config`.

use std::fmt::Write;

use secrecy::ExposeSecret;

use super::{
    layers::{Given, Layers, Origin},
    setting::{Kind, Setting},
    value::{HIDDEN, masked_url},
};
use crate::telemetry::LogFormat;

impl Layers {
    /// A line per setting, in columns. Secrets are masked.
    #[must_use]
    pub fn listing(&self) -> String {
        let rows: Vec<_> = Setting::ALL.iter().map(|setting| self.row(setting)).collect();
        let width = |column: usize| {
            rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default()
        };
        let (names, values) = (width(0), width(1));
        rows.iter().fold(String::new(), |mut listing, [name, value, origin]| {
            // Writing to a string cannot fail.
            let _ = writeln!(listing, "{name:names$}  {value:values$}  {origin}");
            listing
        })
    }

    fn row(&self, setting: &Setting) -> [String; 3] {
        let Some(given) = self.get(setting) else {
            return [setting.name.to_owned(), self.unset(setting).to_owned(), "default".to_owned()];
        };
        let origin = match given.origin {
            Origin::Flag | Origin::Environment => {
                format!("{} {}", given.origin, given.origin.place(setting))
            }
            Origin::Default | Origin::File { .. } => given.origin.to_string(),
        };
        [setting.name.to_owned(), shown(setting, given), origin]
    }

    /// What holds where nothing is set.
    fn unset(&self, setting: &Setting) -> &'static str {
        let embedded = !self.is_set(&Setting::DATABASE_URL);
        match *setting {
            Setting::LOG_FORMAT if LogFormat::of_terminal() == LogFormat::Pretty => "pretty",
            Setting::LOG_FORMAT => "json",
            Setting::NUMBER_KEY | Setting::ADMIN_TOKEN if embedded => "(in the data folder)",
            _ => "(not set)",
        }
    }
}

fn shown(setting: &Setting, given: &Given) -> String {
    let text = given.text.expose_secret();
    match setting.kind {
        // A value of several lines must not look like several settings.
        Kind::Plain | Kind::Switch => text.escape_debug().to_string(),
        Kind::Secret => HIDDEN.to_owned(),
        Kind::Url => masked_url(text),
    }
}
