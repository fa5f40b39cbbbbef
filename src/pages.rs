//! `supportline man` and `supportline completions`: what is written about the command line, made
//! from the command line itself.

use std::{fs, io::Write as _, path::Path, process::ExitCode};

use anyhow::Context;
use clap_complete::Shell;
use clap_mangen::Man;

use crate::{
    cli::{self, Pages},
    terminal,
};

/// Prints the script that completes the program's command line in a shell.
pub fn completions(shell: Shell) -> anyhow::Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut cli::program(), "supportline", &mut script);
    terminal::hand_over(String::from_utf8(script)?.trim_end())?;
    Ok(ExitCode::SUCCESS)
}

/// Prints a manual page, or writes all of them.
pub fn man(pages: &Pages) -> anyhow::Result<ExitCode> {
    let mut program = cli::program();
    // Names the subcommands by their whole path, as their pages are named.
    program.build();
    match &pages.dir {
        Some(folder) => write_all(&program, folder)?,
        None => terminal::show(page(find(&program, &pages.command)?)?.trim_end())?,
    }
    Ok(ExitCode::SUCCESS)
}

fn find<'a>(program: &'a clap::Command, path: &[String]) -> anyhow::Result<&'a clap::Command> {
    path.iter().try_fold(program, |command, name| {
        let found = command.find_subcommand(name);
        found.with_context(|| format!("there is no command `{} {name}`", command.get_name()))
    })
}

fn write_all(program: &clap::Command, folder: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    for command in every(program) {
        let path = folder.join(Man::new(command.clone()).get_filename());
        let mut file =
            fs::File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
        file.write_all(page(command)?.as_bytes())?;
        terminal::remark(path.display());
    }
    Ok(())
}

/// The command and all below it that have a page: `help` repeats the others'.
fn every(command: &clap::Command) -> Vec<&clap::Command> {
    let below = command.get_subcommands().filter(|below| below.get_name() != "help");
    std::iter::once(command).chain(below.flat_map(every)).collect()
}

fn page(command: &clap::Command) -> anyhow::Result<String> {
    let mut page = Vec::new();
    let manual = Man::new(command.clone())
        .date("")
        .source(concat!("supportline ", env!("CARGO_PKG_VERSION")))
        .manual("Supportline");
    manual.render(&mut page)?;
    Ok(with_examples(&String::from_utf8(page)?))
}

/// The generator knows what follows the flags only as something extra, and would fill its lines.
fn with_examples(page: &str) -> String {
    let Some((before, after)) = page.split_once(".SH EXTRA\n") else { return page.to_owned() };
    let (examples, rest) = match after.find(".SH ") {
        Some(at) => after.split_at(at),
        None => (after, ""),
    };
    let examples = examples.strip_prefix("Examples:\n").unwrap_or(examples);
    format!("{before}.SH EXAMPLES\n.nf\n{}\n.fi\n{rest}", examples.trim_end())
}
