//! The flags of settings, and what help says of them.

use clap::{Arg, ArgAction};
use common::config::{Documentation, Kind, Setting};

use super::uses;

const SETTINGS_HELP: &str = "\
Settings come from flags, then the environment, then the file named by --config, then the defaults;
`supportline config` shows each one's value and where it came from.";

/// Adds the flags to a command, or to each of those that it consists of.
pub(super) fn with_settings_below(command: clap::Command, name: &str) -> clap::Command {
    if !command.has_subcommands() {
        return with_settings(command, name);
    }
    command.mut_subcommands(|inner| with_settings(inner, name))
}

/// Adds the flags of the settings that the command uses, and how settings work to its examples.
pub(super) fn with_settings(program: clap::Command, name: &str) -> clap::Command {
    let settings = Setting::ALL.iter().copied().filter(|setting| uses(name, setting.section));
    let flags: Vec<_> = settings.map(flag).collect();
    if flags.is_empty() {
        return program;
    }
    let examples = program.get_after_help().cloned().unwrap_or_default();
    program.args(flags).after_help(format!("{examples}\n\n{SETTINGS_HELP}"))
}

fn flag(setting: &'static Setting) -> Arg {
    let Documentation { meaning, accepted, default } = setting.documentation();
    let default = if default.is_empty() { "none" } else { default };
    let long = format!(
        "{meaning}\n\nAccepted: {accepted}\n[environment: {}] [default: {default}]",
        setting.environment
    );
    let first_sentence = meaning.split_inclusive(". ").next().unwrap_or(&meaning).to_owned();
    let argument = Arg::new(setting.name)
        .long(setting.name)
        .help(first_sentence)
        .long_help(long)
        .action(ArgAction::Set)
        .help_heading("Settings");
    match setting.kind {
        Kind::Plain => argument.value_name("VALUE"),
        Kind::Url => argument.value_name("URL"),
        // A secret may begin with a hyphen, and a usage error would show it.
        Kind::Secret => argument.value_name("SECRET").allow_hyphen_values(true),
        Kind::Switch => argument
            .value_name("true|false")
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value("true"),
    }
}
