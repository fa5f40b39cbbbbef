//! `deploy/Dockerfile`, read.

use std::collections::BTreeMap;

use super::read;

/// The instructions of a Dockerfile, stage by stage.
pub struct Dockerfile {
    pub stages: Vec<Vec<Instruction>>,
}

/// `WORD rest`, on one line, without flags that begin the rest of a health check.
#[derive(Clone, Debug)]
pub struct Instruction {
    pub word: String,
    pub rest: String,
}

impl Dockerfile {
    pub fn ours() -> Self {
        Self::parse(&read("deploy/Dockerfile"))
    }

    fn parse(text: &str) -> Self {
        let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
        let joined = lines.collect::<Vec<_>>().join("\n").replace("\\\n", " ");
        let mut stages: Vec<Vec<Instruction>> = Vec::new();
        for line in joined.lines().filter(|line| !line.trim().is_empty()) {
            let (word, rest) = line.trim().split_once(' ').expect("an instruction");
            let rest = rest.split_whitespace().collect::<Vec<_>>().join(" ");
            if word == "FROM" {
                stages.push(Vec::new());
            }
            let stage = stages.last_mut().expect("FROM comes first");
            stage.push(Instruction { word: word.to_owned(), rest });
        }
        Self { stages }
    }

    /// The stage that becomes the image.
    pub fn image(&self) -> &[Instruction] {
        self.stages.last().expect("a stage")
    }

    /// The last instruction of the image with this word; it is the one that counts.
    pub fn last(&self, word: &str) -> &str {
        let found = self.image().iter().rev().find(|it| it.word == word);
        &found.unwrap_or_else(|| panic!("no {word}")).rest
    }

    pub fn entrypoint(&self) -> Vec<String> {
        words(self.last("ENTRYPOINT"))
    }

    pub fn health_command(&self) -> Vec<String> {
        let (_, command) = self.last("HEALTHCHECK").split_once("CMD ").expect("a command");
        words(command)
    }

    pub fn environment(&self) -> BTreeMap<String, String> {
        let variables = self.image().iter().filter(|it| it.word == "ENV");
        let pairs = variables.flat_map(|it| it.rest.split(' '));
        let pair = |text: &str| {
            let (name, value) = text.split_once('=').expect("NAME=value");
            (name.to_owned(), value.to_owned())
        };
        pairs.map(pair).collect()
    }

    /// The numbers of the user and the group that the image runs as.
    pub fn user(&self) -> (u32, u32) {
        let (user, group) = self.last("USER").split_once(':').expect("user:group");
        (user.parse().expect("a number"), group.parse().expect("a number"))
    }
}

/// A command without a shell: `["a", "b"]`.
fn words(json: &str) -> Vec<String> {
    serde_json::from_str(json).unwrap_or_else(|error| panic!("{json}: {error}"))
}

#[test]
fn instructions_are_read_over_several_lines_and_stages() {
    let text = "# x\nFROM a:1 AS b\nRUN one \\\n    && two\n\nFROM c:2\nENV A=1 \\\n    B=2\n";
    let file = Dockerfile::parse(text);
    assert_eq!(file.stages.len(), 2);
    assert_eq!(file.stages[0][1].rest, "one && two");
    assert_eq!(file.environment()["B"], "2");
}
