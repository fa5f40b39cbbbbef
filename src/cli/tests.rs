//! Command lines, and what is made of them.

use super::*;

fn invoke(line: &str) -> Result<Invocation, clap::Error> {
    read(line.split(' ').map(Into::into))
}

fn flags(line: &str) -> Vec<(&'static str, String)> {
    let flags = invoke(line).unwrap().flags;
    flags.into_iter().map(|(setting, text)| (setting.name, text)).collect()
}

#[test]
fn the_command_line_is_sound() {
    program().debug_assert();
}

#[test]
fn without_a_subcommand_it_serves() {
    assert_eq!(invoke("supportline").unwrap().command, Command::Serve);
    assert_eq!(invoke("supportline --listen 1.2.3.4:5").unwrap().command, Command::Serve);
}

#[test]
fn a_flag_stands_before_the_subcommand_or_after_it() {
    let expected = [("listen", "1.2.3.4:5".to_owned())];
    assert_eq!(flags("supportline --listen 1.2.3.4:5 worker"), expected);
    assert_eq!(flags("supportline worker --listen 1.2.3.4:5"), expected);
    assert_eq!(flags("supportline worker --listen=1.2.3.4:5"), expected);
}

#[test]
fn a_switch_needs_no_value_and_takes_one() {
    assert_eq!(flags("supportline --no-migrate"), [("no-migrate", "true".to_owned())]);
    let off = "supportline --no-migrate=false";
    assert_eq!(flags(off), [("no-migrate", "false".to_owned())]);
    assert_eq!(invoke("supportline --no-migrate worker").unwrap().command, Command::Worker);
}

#[test]
fn a_flag_that_the_command_does_not_use_is_refused() {
    for line in ["supportline --reply-wait 1s migrate", "supportline migrate --reply-wait 1s"] {
        assert_eq!(invoke(line).unwrap_err().exit_code(), 2, "{line}");
    }
}

#[test]
fn a_stretch_of_time_that_ends_before_it_begins_is_refused() {
    for (line, told) in [
        (
            "supportline export --submitted-from 2026-12-01 --submitted-to 2026-11-01",
            "--submitted-to must be later than --submitted-from",
        ),
        (
            "supportline audit export --from 2026-12-01T00:00:00Z --to 2026-12-01T00:00:00Z",
            "--to must be later than --from",
        ),
    ] {
        let refused = invoke(line).unwrap_err();
        assert_eq!(refused.exit_code(), 2, "{line}");
        assert!(refused.to_string().contains(told), "{refused}");
    }
    assert!(invoke("supportline export --submitted-from 2026-12-01").is_ok());
}

#[test]
fn a_secret_that_begins_with_a_hyphen_is_not_taken_for_a_flag() {
    let token = "-hunter2-hunter2-hunter2";
    let line = format!("supportline --admin-token {token}");
    assert_eq!(flags(&line), [("admin-token", token.to_owned())]);
}

#[test]
fn a_subcommands_flags_may_stand_before_it_too() {
    let data_dir = [("data-dir", "x".to_owned())];
    for line in ["supportline --data-dir x token list", "supportline token list --data-dir x"] {
        assert_eq!(flags(line), data_dir, "{line}");
    }
    let refused = invoke("supportline --listen 1.2.3.4:5 token list").unwrap_err();
    assert_eq!(refused.exit_code(), 2);
}

/// The commands that do something, by the words that call them.
fn leaves(command: &clap::Command, path: &str) -> Vec<String> {
    if !command.has_subcommands() {
        return vec![path.to_owned()];
    }
    let below = command.get_subcommands();
    below.flat_map(|below| leaves(below, &format!("{path} {}", below.get_name()))).collect()
}

#[test]
fn every_commands_help_shows_its_settings_and_examples() {
    let commands = leaves(&Cli::command(), "supportline");
    assert!(commands.len() > 10, "{commands:?}");
    for command in commands {
        let help = invoke(&format!("{command} --help")).unwrap_err().to_string();
        assert!(help.contains("Examples"), "{help}");
        let name = command.split(' ').nth(1).unwrap();
        for setting in Setting::ALL {
            let shown = help.contains(&format!("      --{} ", setting.name))
                || help.contains(&format!("      --{}[", setting.name));
            assert_eq!(shown, uses(name, setting.section), "{}: {help}", setting.name);
        }
    }
}
