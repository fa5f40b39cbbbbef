//! Manual pages and completions: other programs read them.

use std::fs;
use std::path::Path;
use std::time::Duration;

use super::{invoke, only_line};
use crate::bed::folder::Folder;
use crate::bed::process::{Output, command, run};

async fn tool(folder: &Path, program: &str, arguments: &[&str]) -> Output {
    let mut tool = command(program);
    tool.args(arguments);
    run(program, folder, tool, Duration::from_secs(30)).await
}

#[tokio::test]
async fn every_command_has_a_manual_page_that_groff_reads_without_a_warning() {
    let folder = Folder::new("man");
    let output = invoke(folder.path(), &[], &["man", "--dir", "pages"]).await;
    assert_eq!((output.status.code(), &*output.stdout), (Some(0), ""), "{output:?}");
    let mut pages: Vec<_> = output.stderr.lines().map(str::to_owned).collect();
    pages.sort();
    for name in ["", "-serve", "-token", "-token-create", "-token-list", "-verify", "-man"] {
        assert!(pages.contains(&format!("pages/supportline{name}.1")), "{name}: {pages:?}");
    }
    assert_eq!(fs::read_dir(folder.join("pages")).unwrap().count(), pages.len());
    for page in &pages {
        let set =
            tool(folder.path(), "groff", &["-Kutf8", "-man", "-Tutf8", "-P-cbou", "-ww", page])
                .await;
        assert_eq!((set.status.code(), &*set.stderr), (Some(0), ""), "{page}");
        for section in ["NAME", "SYNOPSIS", "DESCRIPTION", "EXAMPLES"] {
            assert!(set.stdout.contains(section), "{page} has no {section}: {}", set.stdout);
        }
    }
}

#[tokio::test]
async fn one_page_is_printed_by_the_commands_name() {
    let folder = Folder::new("man");
    for (arguments, heading) in [
        (&["man"][..], "supportline 1"),
        (&["man", "worker"], "supportline-worker 1"),
        (&["man", "token", "create"], "supportline-token-create 1"),
    ] {
        let output = invoke(folder.path(), &[], arguments).await;
        assert_eq!((output.status.code(), &*output.stderr), (Some(0), ""), "{arguments:?}");
        let expected = format!(".TH {heading}");
        let has_heading = output.stdout.lines().any(|line| line.starts_with(&expected));
        assert!(has_heading, "{arguments:?}: {}", output.stdout);
        if arguments.len() == 3 {
            assert!(output.stdout.contains("\\-\\-expires") && output.stdout.contains("3650d"));
        }
    }
    let output = invoke(folder.path(), &[], &["man", "token", "mint"]).await;
    assert!(only_line(&output, 1).starts_with("error: there is no command `"), "{output:?}");
}

/// What bash offers after the words typed, the last of them unfinished.
async fn offered(folder: &Path, words: &[&str]) -> Vec<String> {
    let script = "source ./completions.bash; COMP_WORDS=(\"$@\"); COMP_CWORD=$(($# - 1)); \
                  _supportline supportline \"${!#}\" \"${COMP_WORDS[COMP_CWORD - 1]}\"; \
                  printf '%s\\n' \"${COMPREPLY[@]}\"";
    let arguments = [&["-c", script, "bash"], words].concat();
    let output = tool(folder, "bash", &arguments).await;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    output.stdout.lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn bash_completes_commands_flags_and_values() {
    let folder = Folder::new("completions");
    let output = invoke(folder.path(), &[], &["completions", "bash"]).await;
    assert_eq!((output.status.code(), &*output.stderr), (Some(0), ""), "{output:?}");
    fs::write(folder.join("completions.bash"), &output.stdout).unwrap();
    let checked = tool(folder.path(), "bash", &["-n", "completions.bash"]).await;
    assert_eq!((checked.status.code(), &*checked.stderr), (Some(0), ""), "{checked:?}");
    for (typed, expected) in [
        (&["supportline", "tok"][..], "token"),
        (&["supportline", "token", "cr"], "create"),
        (&["supportline", "token", "create", "--exp"], "--expires"),
        (&["supportline", "token", "create", "--role", "ag"], "agent"),
        (&["supportline", "worker", "--worker-l"], "--worker-lanes"),
    ] {
        assert_eq!(offered(folder.path(), typed).await, [expected], "{typed:?}");
    }
}

#[tokio::test]
async fn every_shell_has_its_script() {
    let folder = Folder::new("completions");
    for (shell, mark) in [
        ("zsh", "#compdef supportline"),
        ("fish", "complete -c supportline"),
        ("elvish", "edit:completion:arg-completer[supportline]"),
        ("powershell", "Register-ArgumentCompleter"),
    ] {
        let output = invoke(folder.path(), &[], &["completions", shell]).await;
        assert_eq!((output.status.code(), &*output.stderr), (Some(0), ""), "{output:?}");
        assert!(output.stdout.contains(mark) && output.stdout.contains("expires"), "{shell}");
    }
    let output = invoke(folder.path(), &[], &["completions", "tcsh"]).await;
    assert_eq!(output.status.code(), Some(2), "{output:?}");
}
