//! `sys::userns` as an ordinary user meets it. Run by root, it becomes one: user 4321, with and without subordinate
//! ids, in a mount namespace with an `/etc` of its own. Run by an ordinary user, it is that user.
#![allow(clippy::unwrap_used)] // a test, but one with its own main, which clippy does not take for one

use std::ffi::OsString;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use sys::userns::{self, Holding, Ids, Membership, Obstacle, Privilege};

const USER: u32 = 4321;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[1..] {
        ["holder", store, record] => match userns::hold(Path::new(store), Path::new(record)) {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        },
        ["mount", store] => command(store, |membership, store| {
            mount_overlay(store);
            println!("{}", membership.outside_path(&store.join("merged")).display());
        }),
        ["umount", store] => command(store, |_, store| sys::mount::unmount(&store.join("merged")).unwrap()),
        ["sh", store, script] => command(store, |membership, _| {
            let holder = membership.holder_pid().to_string();
            let ids = match userns::privilege().unwrap() {
                Privilege::UserNamespace { ids: Ids::Many } => "many",
                Privilege::UserNamespace { ids: Ids::One } => "one",
                other => panic!("{other:?}"),
            };
            let note = membership.note().unwrap_or_default();
            let mut sh = Command::new("sh");
            sh.args(["-ec", script]).env("HOLDER", holder).env("IDS", ids).env("NOTE", note);
            assert!(sh.status().unwrap().success(), "{script}");
        }),
        ["as-user", ids] => as_user(ids),
        _ => as_anyone(),
    }
}

/// A command: joins the namespaces of the store, works there, ends.
fn command(store: &str, work: impl FnOnce(&Membership, &Path)) -> ExitCode {
    let store = Path::new(store);
    let holding = Holding {
        store: store.into(),
        record: store.join("holder"),
        program: "/proc/self/exe".into(),
        args: vec![OsString::from("holder")],
    };
    match userns::enter(&holding) {
        Ok(membership) => {
            work(&membership, store);
            ExitCode::SUCCESS
        }
        Err(e) => {
            eprintln!("{e}; {}", Obstacle::find().map(|o| o.to_string()).unwrap_or_default());
            ExitCode::FAILURE
        }
    }
}

fn mount_overlay(store: &Path) {
    let home = sys::dir::open_path(store).unwrap();
    let branch = |name: &str| {
        let fd = sys::mount::open_layer(&home, Path::new(name)).unwrap();
        sys::mount::Branch { fd, path: name.into() }
    };
    let overlay = sys::mount::Overlay {
        lowers: vec![branch("lower")],
        upper: Some((branch("upper"), branch("work"))),
        options: vec![("userxattr", None)],
        home: store,
    };
    overlay.mount(&store.join("merged")).unwrap();
}

fn as_anyone() -> ExitCode {
    if sys::process::euid() != 0 {
        return as_user("any");
    }
    let tools = ["unshare", "setpriv"];
    if let Some(missing) = tools.iter().find(|t| Command::new(t).arg("--version").output().is_err()) {
        println!("SKIPPED userns: run by root, and {missing} is not installed");
        return ExitCode::SUCCESS;
    }
    let mut rounds = vec!["one"];
    match Command::new("newuidmap").output() {
        Ok(_) => rounds.push("many"),
        Err(_) => println!("SKIPPED userns with subordinate ids: newuidmap is not installed"),
    }
    match rounds.into_iter().all(become_user) {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

/// Runs this program as [`USER`], who has subordinate ids if `ids` is `many`.
fn become_user(ids: &str) -> bool {
    let tmp =
        tempfile::Builder::new().permissions(std::os::unix::fs::PermissionsExt::from_mode(0o755)).tempdir();
    let tmp = tmp.unwrap();
    let at = |name: &str| tmp.path().join(name).display().to_string();
    std::fs::copy("/proc/self/exe", at("userns")).unwrap();
    std::fs::create_dir(at("home")).unwrap();
    std::os::unix::fs::chown(at("home"), Some(USER), Some(USER)).unwrap();
    let passwd = format!("root:x:0:0::/:/bin/sh\nlayercaker:x:{USER}:{USER}::{}:/bin/sh\n", at("home"));
    std::fs::write(at("passwd"), passwd).unwrap();
    std::fs::write(at("subid"), if ids == "many" { "layercaker:200000:65536\n" } else { "" }).unwrap();
    let script = format!(
        "mount --make-rprivate /
         mount --bind {passwd} /etc/passwd
         touch /etc/subuid /etc/subgid
         mount --bind {subid} /etc/subuid
         mount --bind {subid} /etc/subgid
         cd {home}
         HOME={home} TMPDIR={home} exec setpriv --reuid={USER} --regid={USER} --clear-groups {exe} as-user {ids}",
        passwd = at("passwd"),
        subid = at("subid"),
        home = at("home"),
        exe = at("userns"),
    );
    Command::new("unshare").args(["--mount", "sh", "-ec", &script]).status().unwrap().success()
}

/// A store and its commands.
struct Store {
    tmp: tempfile::TempDir,
}

impl Store {
    fn new() -> Self {
        let tmp = tempfile::tempdir().unwrap();
        for name in ["lower", "upper", "work", "merged"] {
            std::fs::create_dir_all(tmp.path().join("store").join(name)).unwrap();
        }
        std::fs::write(tmp.path().join("store/lower/file"), "lower\n").unwrap();
        Self { tmp }
    }

    fn path(&self) -> PathBuf {
        self.tmp.path().join("store")
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.arg(args[0]).arg(self.path()).args(&args[1..]);
        command
    }

    fn run(&self, args: &[&str]) -> String {
        succeed(&mut self.command(args))
    }

    /// The holder's pid, if there is a record.
    fn holder(&self) -> Option<String> {
        let record = std::fs::read_to_string(self.path().join("holder")).ok()?;
        Some(record.lines().next()?.strip_prefix("pid ")?.to_owned())
    }
}

fn succeed(command: &mut Command) -> String {
    let output = command.stderr(Stdio::inherit()).output().unwrap();
    assert!(output.status.success(), "{command:?}");
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

/// Waits for a process to end. A holder that stays makes the whole test hang, and says here on what.
fn wait_for_end(pid: &str) {
    for round in 0.. {
        match std::fs::read_to_string(format!("/proc/{pid}/stat")) {
            Ok(stat) if !stat.contains(") Z ") => {}
            _ => return,
        }
        if round == 500 {
            println!("still waiting for holder {pid} to end");
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

fn as_user(ids: &str) -> ExitCode {
    assert_eq!(userns::privilege().unwrap(), Privilege::None);
    let store = Store::new();
    let trial = store.command(&["sh", "true"]).output().unwrap();
    if !trial.status.success() {
        let why = String::from_utf8_lossy(&trial.stderr);
        println!("SKIPPED userns ({ids}): no user namespace here: {}", why.trim());
        return ExitCode::SUCCESS;
    }
    let case = |name: &str, body: &dyn Fn()| {
        print!("userns ({ids}) {name} ... ");
        let _ = std::io::stdout().flush();
        body();
        println!("ok");
    };
    case("there are as many ids as there can be", &|| the_ids(ids));
    case("a mount outlives its command", &a_mount_outlives_its_command);
    case("the surroundings stay", &the_surroundings_stay);
    case("first commands at once make one holder", &first_commands_at_once_make_one_holder);
    case("a killed holder is replaced", &a_killed_holder_is_replaced);
    case("another process's pid is not joined", &another_process_is_not_joined);
    case("the holder keeps nothing of its command", &the_holder_keeps_nothing_of_its_command);
    case("the holder follows a renamed store", &the_holder_follows_a_renamed_store);
    case("the holder ends with its store", &the_holder_ends_with_its_store);
    case("a command in a mount stays there", &a_command_in_a_mount_stays_there);
    case("a refusal is explained", &a_refusal_is_explained);
    ExitCode::SUCCESS
}

fn the_ids(expected: &str) {
    let store = Store::new();
    assert_eq!(store.run(&["sh", "id -u; id -g"]), "0\n0");
    let ids = store.run(&["sh", "echo $IDS"]);
    assert_eq!(store.run(&["sh", "test -z \"$NOTE\" && echo many || echo one"]), ids);
    if expected != "any" {
        assert_eq!(ids, expected);
    }
    if ids == "many" {
        let script = format!("cd {}; chown 1:2 lower/file; stat -c %u:%g lower/file", store.path().display());
        assert_eq!(store.run(&["sh", &script]), "1:2");
    }
}

fn a_mount_outlives_its_command() {
    let store = Store::new();
    let outside = PathBuf::from(store.run(&["mount"]));
    let holder = store.holder().unwrap();

    // The user's own shell, outside: reads, changes, creates, removes.
    assert!(!store.path().join("merged/file").exists(), "the mount is seen outside");
    assert_eq!(std::fs::read_to_string(outside.join("file")).unwrap(), "lower\n");
    std::fs::write(outside.join("file"), "changed\n").unwrap();
    std::fs::create_dir(outside.join("dir")).unwrap();
    std::fs::write(outside.join("dir/new"), "new\n").unwrap();
    assert_eq!(outside.join("dir/new").metadata().unwrap().uid(), sys::process::euid());
    assert_eq!(std::fs::read_to_string(store.path().join("lower/file")).unwrap(), "lower\n");

    // A second command sees it, by the store's path.
    let script =
        format!("cd {}; cat file dir/new; rm -r dir; stat -c %u file", store.path().join("merged").display());
    assert_eq!(store.run(&["sh", &script]), "changed\nnew\n0");
    assert_eq!(store.holder().unwrap(), holder);
    assert!(!outside.join("dir").exists());

    store.run(&["umount"]);
    wait_for_end(&holder);
    assert_eq!(store.holder(), None);
}

fn the_surroundings_stay() {
    let store = Store::new();
    let show = "pwd -P; umask; env | grep ^XDG_TEST; cat ../lower/file";
    let mut command = Command::new("sh");
    command.current_dir(store.path().join("lower")).env("XDG_TEST", "x").env("SHOW", show);
    let run = format!("umask 027; {} sh {} \"$SHOW\"", exe(), store.path().display());
    let said = succeed(command.args(["-ec", &run]));
    let path = std::fs::canonicalize(store.path().join("lower")).unwrap();
    assert_eq!(said, format!("{}\n0027\nXDG_TEST=x\nlower", path.display()));
    let status = store.command(&["sh", "exit 0"]).status().unwrap();
    assert_eq!(status.code(), Some(0));
}

fn exe() -> String {
    std::env::current_exe().unwrap().display().to_string()
}

fn first_commands_at_once_make_one_holder() {
    const COMMANDS: usize = 8;
    let store = Store::new();
    // Each waits inside for the others, so that the holder cannot end in between.
    let script = format!(
        "echo $HOLDER; cd {}; touch in.$$; until test $(ls in.* | wc -l) -eq {COMMANDS}; do sleep 0.01; done",
        store.tmp.path().display()
    );
    let start = |_| store.command(&["sh", &script]).stdout(Stdio::piped()).spawn().unwrap();
    let commands: Vec<_> = (0..COMMANDS).map(start).collect();
    let holders: Vec<_> = commands.into_iter().map(|c| c.wait_with_output().unwrap().stdout).collect();
    assert!(!holders[0].is_empty());
    assert!(holders.iter().all(|h| *h == holders[0]), "{holders:?}");
}

fn a_killed_holder_is_replaced() {
    let store = Store::new();
    store.run(&["mount"]);
    let first = store.holder().unwrap();
    succeed(Command::new("sh").args(["-c", "kill -9 $0", &first]));
    wait_for_end(&first);
    let outside = PathBuf::from(store.run(&["mount"]));
    let second = store.holder().unwrap();
    assert_ne!(first, second);
    assert!(outside.join("file").exists());
    store.run(&["umount"]);
    wait_for_end(&second);
}

fn another_process_is_not_joined() {
    let store = Store::new();
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    let record = format!("pid {}\nstarted 1\nboot {boot}", std::process::id());
    std::fs::write(store.path().join("holder"), record).unwrap();
    assert_ne!(store.run(&["sh", "echo $HOLDER"]), std::process::id().to_string());
}

/// A pipe that stayed open would hang `dir=$(layercake mount c1)`, and an inherited lock would stay locked.
fn the_holder_keeps_nothing_of_its_command() {
    let store = Store::new();
    let run = format!("exec 9>{0}/held; {1} mount {0}/store | cat", store.tmp.path().display(), exe());
    succeed(Command::new("sh").args(["-ec", &run]));
    let holder = store.holder().unwrap();
    for entry in std::fs::read_dir(format!("/proc/{holder}/fd")).unwrap() {
        // One that is gone meanwhile was the holder's own.
        let target = std::fs::read_link(entry.unwrap().path()).unwrap_or_default();
        assert!(!target.ends_with("held"), "inherited");
    }
    let stat = std::fs::read_to_string(format!("/proc/{holder}/stat")).unwrap();
    let session = stat.rsplit(") ").next().unwrap().split(' ').nth(3).unwrap();
    assert_eq!(session, holder, "not in a session of its own");
    succeed(Command::new("sh").args(["-c", "kill -HUP $0", &holder]));
    store.run(&["umount"]);
    wait_for_end(&holder);
}

fn the_holder_follows_a_renamed_store() {
    let store = Store::new();
    store.run(&["mount"]);
    let holder = store.holder().unwrap();
    let elsewhere = store.tmp.path().join("elsewhere");
    std::fs::rename(store.path(), &elsewhere).unwrap();
    let script = format!("cat {}/merged/file", elsewhere.display());
    assert_eq!(succeed(Command::new(exe()).arg("sh").arg(&elsewhere).arg(script)), "lower");
    assert!(Path::new("/proc").join(&holder).exists());
    succeed(Command::new(exe()).arg("umount").arg(&elsewhere));
    wait_for_end(&holder);
}

fn the_holder_ends_with_its_store() {
    let store = Store::new();
    store.run(&["mount"]);
    let holder = store.holder().unwrap();
    // Overlay keeps a directory without permissions in `work`.
    succeed(Command::new("sh").args(["-c", "chmod -R u+rwx $0/work; rm -rf $0"]).arg(store.path()));
    wait_for_end(&holder);
}

fn a_command_in_a_mount_stays_there() {
    let store = Store::new();
    let outside = store.run(&["mount"]);
    let holder = store.holder().unwrap();
    let said = succeed(store.command(&["sh", "pwd -P; cat file"]).current_dir(outside));
    let merged = std::fs::canonicalize(store.path().join("merged")).unwrap();
    assert_eq!(said, format!("{}\nlower", merged.display()));
    store.run(&["umount"]);
    wait_for_end(&holder);
}

/// The setting is of each user namespace, so one in which it is 0 stands for a machine where it is.
fn a_refusal_is_explained() {
    let store = Store::new();
    let run = format!(
        "echo 0 >/proc/sys/user/max_user_namespaces; exec {} sh {} true",
        exe(),
        store.path().display()
    );
    let Ok(output) = Command::new("unshare").args(["--user", "--map-root-user", "sh", "-ec", &run]).output()
    else {
        print!("SKIPPED, unshare is not installed: ");
        return;
    };
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(said.contains("sysctl -w user.max_user_namespaces"), "{said}");
    assert_eq!(store.holder(), None);
}
