//! A monitor that was killed; a machine that was restarted.

use std::fs;

use crate::world::{World, everywhere};

/// The process beside a container: what its record says.
fn monitor(world: &World, id: &str) -> u32 {
    let record = fs::read_to_string(world.root().join("layercake/running").join(id).join("record")).unwrap();
    let line = record.lines().find_map(|line| line.strip_prefix("monitor ")).unwrap();
    line.split(' ').next().unwrap().parse().unwrap()
}

fn kill(pid: u32) {
    let process = sys::identity::Identity::of(pid).unwrap().open().unwrap();
    process.kill().unwrap();
    process.wait(None);
}

#[test]
fn a_container_without_its_monitor_can_be_stopped() {
    everywhere("a_container_without_its_monitor_can_be_stopped", |world| {
        let id = world.background("c1", &[]);
        kill(monitor(world, &id));
        assert_eq!(world.ok(&["ps", "--format", "{{.State}}"]), "running");
        assert!(!world.run(&["attach", "--no-stdin", "c1"]).status.success(), "nobody has its streams");
        assert_eq!(world.ok(&["kill", "c1"]), "c1");
        assert_eq!(world.ok(&["ps", "-a", "--format", "{{.State}}"]), "exited");
        assert_eq!(world.inspect("c1", "{{.State.ExitCode}}"), "255");
        world.assert_clean();
        assert_eq!(world.ok(&["rm", "c1"]), "c1");
    });
}

#[test]
fn what_died_with_its_monitor_is_found_out() {
    everywhere("what_died_with_its_monitor_is_found_out", |world| {
        let id = world.background("c1", &["-v", "data:/data"]);
        let init: u32 = world.inspect("c1", "{{.State.Pid}}").parse().unwrap();
        kill(monitor(world, &id));
        kill(init);
        // Who only looks sees it, and changes nothing.
        assert_eq!(world.ok(&["ps", "-a", "--format", "{{.State}}"]), "exited");
        let document = world.root().join("containers").join(&id).join("config.v2.json");
        assert!(fs::read_to_string(&document).unwrap().contains("\"Running\":true"));
        // The next command that writes brings it in order.
        world.ok(&["volume", "create", "other"]);
        assert!(fs::read_to_string(&document).unwrap().contains("\"Running\":false"));
        world.assert_clean();
        assert_eq!(world.ok(&["start", "c1"]), "c1");
        assert_eq!(world.ok(&["rm", "-f", "c1"]), "c1");
    });
}

#[test]
fn after_a_restart_of_the_machine_nothing_runs() {
    everywhere("after_a_restart_of_the_machine_nothing_runs", |world| {
        let id = world.background("c1", &["--rm"]);
        let other = world.background("c2", &[]);
        let init: u32 = world.inspect("c1", "{{.State.Pid}}").parse().unwrap();
        // The pids are somebody else's by then: as if of another boot.
        for (id, name) in [(&id, "c1"), (&other, "c2")] {
            let own: u32 = world.inspect(name, "{{.State.Pid}}").parse().unwrap();
            kill(monitor(world, id));
            let path = world.root().join("layercake/running").join(id).join("record");
            let record = fs::read_to_string(&path).unwrap();
            let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
            fs::write(&path, record.replace(boot.trim(), "another-boot")).unwrap();
            assert!(init != 0 && own != 0);
            if name == "c1" {
                assert_eq!(world.ok(&["ps", "--format", "{{.Names}}"]), "c2");
            }
            kill(own);
        }
        assert_eq!(world.ok(&["volume", "create", "other"]), "other");
        assert_eq!(
            world.ok(&["ps", "-a", "--format", "{{.Names}} {{.State}}"]),
            "c2 exited",
            "--rm counts, too"
        );
        world.assert_clean();
    });
}
