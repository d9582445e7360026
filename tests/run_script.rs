//! The script `run`: what it installs and by what, and what it does where it cannot.
//!
//! Each test makes a machine: a folder that is all of `PATH`, with the real text tools and, under the names of package
//! managers, compilers and the like, `tests/files/stub`, which only notes that it was called.

#![cfg(unix)]

use std::env;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const WANTED: &str = env!("CARGO_PKG_RUST_VERSION");
/// What `run` takes for granted, and the stub with it.
const TOOLS: [&str; 12] = ["sh", "env", "cat", "cut", "dirname", "head", "ln", "mkdir", "mktemp", "rm", "sed", "sort"];
const MANAGERS: [&str; 4] = ["apt-get", "dnf", "pacman", "brew"];
const FAER: &str = "--no-default-features --features faer";

struct Machine {
    home: tempfile::TempDir,
    settings: Vec<(&'static str, String)>,
}

/// What a call of `run` came to.
struct Told {
    code: Option<i32>,
    /// Everything it said.
    text: String,
    /// The programs it called, in order.
    calls: Vec<String>,
}

impl Machine {
    /// A machine with these programs, used by root.
    fn with(programs: &[&str]) -> Self {
        let home = tempfile::tempdir().unwrap();
        let bin = home.path().join("bin");
        fs::create_dir(&bin).unwrap();
        for tool in TOOLS {
            symlink(real(tool), bin.join(tool)).unwrap();
        }
        for program in programs.iter().chain(&["id"]) {
            symlink(Path::new(ROOT).join("tests/files/stub"), bin.join(program)).unwrap();
        }
        Machine { home, settings: Vec::new() }.set("STUB_UID", "0").set("STUB_CARGO", WANTED)
    }

    /// A machine that lacks nothing, with a package manager besides.
    fn complete() -> Self {
        Machine::with(&["cc", "cargo", "pkg-config", "apt-get"]).openblas()
    }

    fn set(mut self, name: &'static str, value: &str) -> Self {
        self.settings.push((name, value.into()));
        self
    }

    fn openblas(self) -> Self {
        fs::create_dir(self.home.path().join("lib")).unwrap();
        fs::write(self.home.path().join("lib/openblas.pc"), "").unwrap();
        self
    }

    fn run(&self, words: &[&str]) -> Told {
        let log = self.home.path().join("log");
        fs::write(&log, "").unwrap();
        let output = Command::new("/bin/sh")
            .arg(Path::new(ROOT).join("run"))
            .args(words)
            .env_clear()
            .env("HOME", self.home.path())
            .env("TMPDIR", self.home.path())
            .env("PATH", self.home.path().join("bin"))
            .envs(self.settings.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
        let calls = fs::read_to_string(&log).unwrap().lines().map(str::to_owned).collect();
        Told { code: output.status.code(), text, calls }
    }
}

/// Where the system keeps a program.
fn real(tool: &str) -> PathBuf {
    let path = env::var_os("PATH").unwrap();
    env::split_paths(&path).map(|folder| folder.join(tool)).find(|file| file.is_file()).unwrap()
}

impl Told {
    /// The calls that change the machine.
    fn changes(&self) -> Vec<&str> {
        let changing = |call: &&str| {
            let mut words = call.split(' ').skip_while(|word| *word == "sudo");
            let name = words.next().unwrap();
            let asked = words.next() == Some("--prefix");
            (MANAGERS.contains(&name) && !asked) || ["curl", "wget", "rustup", "rustup-init"].contains(&name)
        };
        self.calls.iter().map(String::as_str).filter(changing).collect()
    }

    /// The last call, by which `run` hands over.
    fn last(&self) -> &str {
        self.calls.last().unwrap()
    }

    fn succeeded(self) -> Self {
        assert_eq!(self.code, Some(0), "{}\n{:?}", self.text, self.calls);
        self
    }

    /// Failed, every line being one of `run` itself, and the last one holding `words`.
    fn failed(self, words: &str) -> Self {
        assert_eq!(self.code, Some(1), "{}", self.text);
        assert!(self.text.lines().all(|line| line.starts_with("run: ")), "{}", self.text);
        assert!(self.text.lines().last().unwrap().contains(words), "no '{words}' at the end of: {}", self.text);
        self
    }
}

#[test]
fn where_nothing_is_missing_nothing_is_installed_or_said() {
    let machine = Machine::complete();
    for (words, handed_over) in [
        (&["test", "--lib"][..], "cargo test --lib"),
        (&["demo", "--short"], "cargo run --release --quiet --bin ansatz -- demo --short"),
        (&["fit", "--data", "a b"], "cargo run --release --quiet --bin ansatz -- fit --data a b"),
    ] {
        let told = machine.run(words).succeeded();
        assert!(told.changes().is_empty(), "{:?}", told.calls);
        assert_eq!((told.last(), told.text.as_str()), (handed_over, ""));
    }
    let told = machine.run(&["setup"]).succeeded();
    assert!(told.changes().is_empty() && told.text.contains("backend: openblas"), "{}", told.text);
}

#[test]
fn help_sets_nothing_up() {
    let bare = Machine::with(&["apt-get"]);
    for words in [&[][..], &["help"], &["--help"]] {
        let told = bare.run(words).succeeded();
        assert!(told.calls.is_empty() && told.text.contains("./run test"), "{}", told.text);
    }
}

#[test]
fn each_package_manager_is_asked_for_its_own_packages() {
    for (manager, expected) in [
        (
            "apt-get",
            [
                "apt-get update -qq",
                "apt-get install -y -qq gcc libc6-dev",
                "",
                "apt-get install -y -qq pkg-config",
                "apt-get install -y -qq libopenblas-dev",
            ],
        ),
        (
            "dnf",
            [
                "",
                "dnf install -y -q gcc",
                "",
                "dnf install -y -q pkgconf-pkg-config",
                "dnf install -y -q openblas-devel",
            ],
        ),
        (
            "pacman",
            [
                "",
                "pacman -Sy --noconfirm --needed gcc",
                "",
                "pacman -Sy --noconfirm --needed pkgconf",
                "pacman -Sy --noconfirm --needed openblas",
            ],
        ),
        ("brew", ["", "brew install gcc", "", "brew install pkg-config", "brew install openblas"]),
    ] {
        let machine = Machine::with(&["cargo", manager]);
        let told = machine.run(&["test"]).succeeded();
        let expected: Vec<&str> = expected.into_iter().filter(|call| !call.is_empty()).collect();
        assert_eq!(told.changes(), expected);
        for missing in ["a C compiler", "pkg-config", "OpenBLAS"] {
            let line = format!("run: {missing} is missing; installing");
            assert!(told.text.lines().any(|l| l.starts_with(&line) && l.ends_with(manager)), "{}", told.text);
        }
        assert_eq!(told.last(), "cargo test");
        // What was installed is found again.
        let again = machine.run(&["test"]).succeeded();
        assert!(again.changes().is_empty() && again.text.is_empty(), "{manager}: {:?}", again.calls);
        assert_eq!(again.last(), "cargo test");
    }
}

#[test]
fn any_of_three_compilers_will_do() {
    for compiler in ["cc", "gcc", "clang"] {
        let told = Machine::with(&["cargo", "pkg-config", "dnf", compiler]).openblas().run(&["test"]).succeeded();
        assert!(told.changes().is_empty(), "{compiler}: {:?}", told.calls);
    }
}

#[test]
fn without_openblas_the_pure_rust_backend_is_used() {
    let broken = Machine::with(&["cc", "cargo", "pkg-config", "apt-get"]).set("STUB_BROKEN", "apt-get");
    let without_manager = Machine::with(&["cc", "cargo", "pkg-config"]);
    for machine in [broken, without_manager] {
        let told = machine.run(&["test", "--lib"]).succeeded();
        assert!(
            told.text.contains("OpenBLAS cannot be had here; going on with the pure-Rust backend"),
            "{}",
            told.text
        );
        assert_eq!(told.last(), format!("cargo test {FAER} --lib"));
        let told = machine.run(&["demo"]).succeeded();
        assert_eq!(told.last(), format!("cargo run --release --quiet {FAER} --bin ansatz -- demo"));
    }
}

#[test]
fn the_backend_that_is_asked_for_is_the_one_used() {
    let bare = || Machine::with(&["cc", "cargo", "pkg-config", "apt-get"]);
    let told = bare().set("ANSATZ_BACKEND", "faer").run(&["test"]).succeeded();
    assert_eq!((told.changes(), told.last()), (vec![], format!("cargo test {FAER}").as_str()));
    let told = Machine::complete().set("ANSATZ_BACKEND", "openblas").run(&["test"]).succeeded();
    assert_eq!(told.last(), "cargo test");
    bare()
        .set("ANSATZ_BACKEND", "openblas")
        .set("STUB_BROKEN", "apt-get")
        .run(&["test"])
        .failed("OpenBLAS cannot be had");
    let told = Machine::complete().set("ANSATZ_BACKEND", "mkl").run(&["test"]).failed("ANSATZ_BACKEND is 'mkl'");
    assert!(told.changes().is_empty());
}

#[test]
fn without_cargo_rustup_is_fetched() {
    for (fetcher, extra) in [("curl", "curl"), ("wget", "wget"), ("curl", "apt-get")] {
        let machine = Machine::with(&["cc", "pkg-config", extra]).openblas();
        let told = machine.run(&["test"]).succeeded();
        let changes = told.changes();
        let [.., fetched, installed] = changes[..] else { panic!("{changes:?}") };
        assert!(fetched.starts_with(fetcher) && fetched.contains(" https://sh.rustup.rs "), "{fetched}");
        assert_eq!(installed, "rustup-init -y --profile minimal --default-toolchain stable");
        assert_eq!(changes.contains(&"apt-get install -y -qq curl"), extra == "apt-get", "{changes:?}");
        assert!(told.text.starts_with("run: cargo is missing\n"), "{}", told.text);
        assert_eq!(told.last(), "cargo test");
        // A shell that was open before does not have the new folder in its path.
        let again = machine.run(&["test"]).succeeded();
        assert!(again.changes().is_empty() && again.text.is_empty(), "{:?}", again.calls);
        // The installer itself is gone.
        assert!(
            fs::read_dir(machine.home.path()).unwrap().all(|e| !e
                .unwrap()
                .file_name()
                .to_string_lossy()
                .contains("tmp."))
        );
    }
}

#[test]
fn where_rust_cannot_be_had_the_version_is_told() {
    let words = format!("install Rust {WANTED} or later");
    let nothing = Machine::with(&["cc", "pkg-config"]).openblas();
    nothing.run(&["test"]).failed(&words);
    let offline = Machine::with(&["cc", "pkg-config", "curl"]).openblas().set("STUB_BROKEN", "curl");
    offline.run(&["test"]).failed(&words);
    let stuck = Machine::with(&["cc", "pkg-config", "cargo", "rustup"]).openblas().set("STUB_BROKEN", "rustup");
    stuck.set("STUB_CARGO", "1.70.0").run(&["test"]).failed(&words);
}

#[test]
fn an_old_cargo_is_updated_and_one_new_enough_is_not() {
    let machine =
        |version| Machine::with(&["cc", "pkg-config", "cargo", "rustup"]).openblas().set("STUB_CARGO", version);
    for old in ["1.9.0", "1.70.0", "1.87.1", "0.99.0"] {
        let told = machine(old).run(&["test"]).succeeded();
        assert_eq!(told.changes(), ["rustup update stable"]);
        assert!(told.text.contains(&format!("cargo {old} is older than {WANTED}")), "{}", told.text);
        // Even where a folder or the environment pins the old toolchain.
        assert_eq!(told.last(), "RUSTUP_TOOLCHAIN=stable cargo test");
    }
    for new in [WANTED, "1.89.0", "1.100.0", "1.91.0-nightly", "2.0.0"] {
        let told = machine(new).run(&["test"]).succeeded();
        assert!(told.changes().is_empty(), "{new}: {:?}", told.calls);
    }
    // From a distribution, without rustup.
    let told = Machine::with(&["cc", "pkg-config", "cargo", "curl"])
        .openblas()
        .set("STUB_CARGO", "1.75.0")
        .run(&["test"])
        .succeeded();
    assert!(told.text.contains("and there is no rustup"), "{}", told.text);
    assert!(told.changes().contains(&"rustup-init -y --profile minimal --default-toolchain stable"));
}

#[test]
fn what_needs_root_goes_by_sudo_or_is_refused_clearly() {
    let bare =
        |more: &[&str]| Machine::with(&[&["cargo", "pkg-config", "apt-get"], more].concat()).set("STUB_UID", "1000");
    let told = bare(&["sudo"]).openblas().run(&["test"]).succeeded();
    assert!(told.calls.contains(&"sudo apt-get update -qq".into()), "{:?}", told.calls);
    assert!(told.calls.iter().any(|c| c.starts_with("sudo env DEBIAN_FRONTEND=noninteractive apt-get install")));
    let told = bare(&[]).openblas().run(&["test"]).failed("a C compiler is needed; install one and try again");
    assert!(told.text.contains("run: not root, and no sudo\n"), "{}", told.text);
    assert!(told.changes().is_empty(), "{:?}", told.calls);
    // OpenBLAS alone is no reason to stop.
    let told = bare(&["cc"]).run(&["test"]).succeeded();
    assert!(told.text.contains("run: not root, and no sudo\n"), "{}", told.text);
    assert_eq!(told.last(), format!("cargo test {FAER}"));
    // brew refuses to be called by root, and needs no sudo.
    let told = Machine::with(&["cargo", "brew", "sudo"]).set("STUB_UID", "1000").run(&["test"]).succeeded();
    assert!(told.calls.iter().all(|call| !call.starts_with("sudo")), "{:?}", told.calls);
}

/// Once each call installed it again, because only the first search path was looked into before.
#[test]
fn what_brew_keeps_aside_is_found_without_installing_it_again() {
    let machine = Machine::with(&["cc", "cargo", "pkg-config", "brew"]);
    assert_eq!(machine.run(&["test"]).succeeded().changes(), ["brew install openblas"]);
    let told = machine.run(&["test"]).succeeded();
    assert_eq!((told.changes(), told.last()), (vec![], "cargo test"));
}
