//! The first start of an embedded installation, the second one, and one too many.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use hyper::Method;

use super::running::Running;
use super::{invoke, only_line, settings};
use crate::bed::client::{Asking, Client};
use crate::bed::folder::Folder;
use crate::bed::process::Signal;
use crate::bed::servers::Servers;
use crate::bed::system::ADMIN_TOKEN;

#[tokio::test]
async fn the_first_start_prints_what_to_paste_and_it_works() {
    let folder = Folder::new("start");
    let serve = Running::start("serve", folder.path(), &settings(&[])).await;
    let welcome = serve.stdout();
    let address = format!("listens on http://{}\n", serve.address());
    assert!(welcome.contains(&address), "{welcome}");
    assert!(welcome.contains("Data: ./data; admin token: ./data/admin-token\n"), "{welcome}");
    assert!(welcome.contains("Keep ./data/number-key with every backup"), "{welcome}");

    let token = folder.join("data/admin-token");
    for secret in [&token, &folder.join("data/number-key"), &folder.join("data/supportline.db")] {
        let mode = fs::metadata(secret).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{}", secret.display());
    }
    let curls: Vec<_> = welcome.lines().filter(|line| line.starts_with("  curl ")).collect();
    let [create, look_up, statistics] = curls[..] else { panic!("three curl lines: {welcome}") };

    let created = Curl::parse(create, folder.path()).request(serve.address()).send().await;
    assert_eq!(created.status, 201, "{}", created.text());
    let number = created.json()["data"]["ticketNumber"].as_str().unwrap().to_owned();
    let look_up = look_up.replace("SUP-…", &number);
    let found = Curl::parse(&look_up, folder.path()).request(serve.address()).send().await;
    assert_eq!(found.json()["data"]["ticketNumber"], number.as_str());
    let counts = Curl::parse(statistics, folder.path()).request(serve.address()).send().await;
    assert_eq!((counts.status.as_u16(), &counts.json()["success"]), (200, &true.into()));
    let token = fs::read_to_string(&token).unwrap();
    assert!(!serve.log().contains(token.trim()), "the token itself is not printed");
}

#[tokio::test]
async fn the_second_start_reuses_key_token_and_tickets() {
    let folder = Folder::new("start");
    let serve = Running::start("serve", folder.path(), &settings(&[])).await;
    let welcome = serve.stdout();
    let curl = welcome.lines().find(|line| line.contains("curl")).unwrap().to_owned();
    let ask = || Curl::parse(&curl, folder.path()).request(serve.address());
    let number = ask().send().await.json()["data"]["ticketNumber"].clone();
    let secrets =
        || ["data/number-key", "data/admin-token"].map(|name| fs::read(folder.join(name)).unwrap());
    let before = secrets();
    assert!(serve.stop(Signal::Term).await.0.success());
    serve.start_again().await;
    assert_eq!(secrets(), before);
    let again = serve.stdout()[welcome.len()..].to_owned();
    assert_eq!(again.lines().count(), 2, "nothing to paste: {again}");

    let token = String::from_utf8(before[1].clone()).unwrap();
    let path = format!("/api/support/ticket/{}", number.as_str().unwrap());
    assert_eq!(serve.client().get(&path).send().await.status, 200);
    let counts = serve.client().get("/api/support/stats").bearer(token.trim()).send().await;
    assert_eq!(counts.json()["data"]["total"], 1);
}

#[tokio::test]
async fn a_token_that_is_a_setting_is_not_written_down() {
    let folder = Folder::new("start");
    let own = settings(&[("SUPPORT_ADMIN_TOKEN", ADMIN_TOKEN)]);
    let serve = Running::start("serve", folder.path(), &own).await;
    assert!(!folder.join("data/admin-token").exists());
    assert!(!serve.log().contains(ADMIN_TOKEN));
    let counts = serve.client().get("/api/support/stats").bearer(ADMIN_TOKEN).send().await;
    assert_eq!(counts.status, 200);
}

#[tokio::test]
async fn a_second_server_on_one_data_folder_or_one_port_is_refused_in_one_line() {
    let folder = Folder::new("start");
    let serve = Running::start("serve", folder.path(), &settings(&[])).await;
    let output = invoke(folder.path(), &[("SUPPORT_LISTEN", "127.0.0.1:0")], &["serve"]).await;
    let line = only_line(&output, 1);
    let data = folder.join("data").canonicalize().unwrap();
    let expected =
        format!("error: the data directory {} is in use by another process", data.display());
    assert_eq!(line, expected);

    let address = serve.address().to_string();
    let arguments = ["serve", "--listen", &address, "--data-dir", "other"];
    let output = invoke(folder.path(), &[], &arguments).await;
    let line = only_line(&output, 1);
    let expected = format!(
        "error: cannot listen on {address} (--listen takes another): Address already in use"
    );
    assert!(line.starts_with(&expected), "{line}");
    assert!(!folder.join("other").exists(), "nothing was made");
    assert_eq!(serve.client().get("/readyz").send().await.status, 200, "the first goes on");
}

#[tokio::test]
async fn a_folder_or_an_address_that_cannot_be_used_is_a_bad_setting() {
    let folder = Folder::new("start");
    std::fs::write(folder.join("file"), "").unwrap();
    let arguments = ["serve", "--listen", "127.0.0.1:0", "--data-dir", "file"];
    let output = invoke(folder.path(), &[], &arguments).await;
    let line = only_line(&output, 2);
    assert!(line.starts_with("error: cannot use the data directory "), "{line}");
    assert!(line.contains("--data-dir"), "{line}");

    std::fs::create_dir(folder.path().join("empty")).unwrap();
    for (command, name) in [("export", "nowhere"), ("export", "empty"), ("verify", "nowhere")] {
        let output = invoke(folder.path(), &[], &[command, "--data-dir", name]).await;
        let line = only_line(&output, 2);
        let there = folder.path().join(name);
        let said = format!("error: there is no installation in {} (--data-dir); ", there.display());
        assert!(line.starts_with(&said), "{line}");
    }

    // Of the range that documents are written with: no machine has it.
    let arguments = ["serve", "--listen", "192.0.2.1:8080"];
    let output = invoke(folder.path(), &[], &arguments).await;
    let line = only_line(&output, 2);
    assert!(line.starts_with("error: cannot listen on 192.0.2.1:8080 (--listen"), "{line}");
}

#[tokio::test]
async fn a_foreign_number_key_is_refused_in_one_line() {
    let folder = Folder::new("start");
    let serve = Running::start("serve", folder.path(), &settings(&[])).await;
    serve.stop(Signal::Term).await;
    let foreign = "0".repeat(64);
    let environment = [("SUPPORT_LISTEN", "127.0.0.1:0"), ("SUPPORT_NUMBER_KEY", &foreign)];
    let output = invoke(folder.path(), &environment, &["serve"]).await;
    let line = only_line(&output, 2);
    assert!(line.contains("SUPPORT_NUMBER_KEY") && line.contains("accepted: "), "{line}");
    assert!(!line.contains(&foreign), "{line}");
}

#[tokio::test]
async fn a_foreign_number_key_ends_each_role_of_a_distributed_installation_as_a_bad_setting() {
    let folder = Folder::new("start");
    let backing = Servers::shared().await.backing().await;
    let with_key = |key| {
        [
            ("SUPPORT_LISTEN", "127.0.0.1:0"),
            ("DATABASE_URL", backing.database_url.as_str()),
            ("AMQP_URL", backing.amqp_url.as_str()),
            ("REDIS_URL", backing.redis_url.as_str()),
            ("SUPPORT_NUMBER_KEY", key),
        ]
    };
    let (own, foreign) = ("0".repeat(64), "f".repeat(64));
    drop(Running::start("worker", folder.path(), &settings(&with_key(&own))).await);
    for role in ["serve", "ingest", "worker"] {
        let output = invoke(folder.path(), &with_key(&foreign), &[role]).await;
        assert_eq!(output.status.code(), Some(2), "{role}: {output:?}");
        // Behind what is logged until the database is reached.
        let mut lines = output.stderr.lines().filter(|line| !line.starts_with('{'));
        let (line, other) = (lines.next().unwrap(), lines.next());
        assert_eq!(other, None, "{role}: {output:?}");
        assert!(line.starts_with("error: number-key (SUPPORT_NUMBER_KEY, "), "{role}: {line}");
        assert!(line.contains("; accepted: "), "{role}: {line}");
        assert!(!output.stderr.contains(&foreign), "{role}: {output:?}");
    }
}

#[tokio::test]
async fn a_key_that_is_gone_is_asked_for_and_not_made_anew() {
    let folder = Folder::new("start");
    let serve = Running::start("serve", folder.path(), &settings(&[])).await;
    serve.stop(Signal::Term).await;
    let file = folder.join("data/number-key");
    let key = fs::read(&file).unwrap();
    fs::remove_file(&file).unwrap();
    for command in ["serve", "verify"] {
        let output = invoke(folder.path(), &[("SUPPORT_LISTEN", "127.0.0.1:0")], &[command]).await;
        let line = only_line(&output, 1);
        assert!(line.contains("data/number-key"), "{line}");
        assert!(!file.exists(), "{command} made another one");
    }
    fs::write(&file, key).unwrap();
    serve.start_again().await;
}

/// A printed curl line, read as a shell and curl would.
struct Curl {
    path: String,
    headers: Vec<(String, String)>,
    body: Option<String>,
    address: SocketAddr,
}

impl Curl {
    fn parse(line: &str, folder: &Path) -> Self {
        let line = with_substitutions(line, folder);
        let mut words = words(&line).into_iter().peekable();
        assert_eq!(words.next().as_deref(), Some("curl"));
        let (mut url, mut headers, mut body) = (String::new(), Vec::new(), None);
        while let Some(word) = words.next() {
            match word.as_str() {
                "-sS" => {}
                "-H" => {
                    let header = words.next().unwrap();
                    let (name, value) = header.split_once(": ").unwrap();
                    headers.push((name.to_lowercase(), value.to_owned()));
                }
                "-d" => body = words.next(),
                _ => url = word,
            }
        }
        let rest = url.strip_prefix("http://").unwrap();
        let (address, path) = rest.split_once('/').unwrap();
        Self { path: format!("/{path}"), headers, body, address: address.parse().unwrap() }
    }

    fn request(&self, expected: SocketAddr) -> Asking {
        assert_eq!(self.address, expected);
        let method = if self.body.is_some() { Method::POST } else { Method::GET };
        let mut request = Client::of_the_api(self.address).request(method, &self.path);
        for (name, value) in &self.headers {
            let name = match name.as_str() {
                "content-type" => "content-type",
                "authorization" => "authorization",
                other => panic!("an unexpected header {other}"),
            };
            request = request.header(name, value);
        }
        request.body(self.body.clone().unwrap_or_default())
    }
}

/// `$(cat FILE)` replaced by what the file holds, as seen from `folder`.
fn with_substitutions(line: &str, folder: &Path) -> String {
    let Some((before, rest)) = line.split_once("$(cat ") else { return line.to_owned() };
    let (file, after) = rest.split_once(')').unwrap();
    format!("{before}{}{after}", fs::read_to_string(folder.join(file)).unwrap().trim_end())
}

/// Splits at blanks outside quotes, single or double.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), String::new(), None);
    for character in line.trim().chars() {
        match (quote, character) {
            (Some(open), _) if open == character => quote = None,
            (None, '\'' | '"') => quote = Some(character),
            (None, ' ') => words.push(std::mem::take(&mut word)),
            _ => word.push(character),
        }
    }
    words.push(word);
    words
}
