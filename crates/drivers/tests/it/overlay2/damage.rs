//! Each damage of moby.md §8.3, found, named and mended.

use std::fs;
use std::path::PathBuf;

use drivers::suite::{Bench, Builder, run};
use drivers::{Access, Damage, Driver, Error};
use model::{CacheId, LinkId};

/// Two layers and a container on them.
struct Stack {
    base: CacheId,
    top: CacheId,
    container: CacheId,
    home: PathBuf,
}

impl Stack {
    fn new(bench: &Bench) -> Self {
        let base = bench.layer(None, Builder::new().file("file", "x"));
        let top = bench.layer(Some(&base), Builder::new().file("top", "x"));
        let container = bench.container(Some(&top));
        Self { base, top, container, home: bench.driver.home().to_owned() }
    }

    fn path(&self, id: &CacheId, name: &str) -> PathBuf {
        self.home.join(id.as_str()).join(name)
    }

    fn short_name(&self, id: &CacheId) -> PathBuf {
        self.home.join("l").join(fs::read_to_string(self.path(id, "link")).unwrap().trim())
    }

    fn damages(&self, driver: &dyn Driver) -> Vec<Damage> {
        let all = [(&self.base, None), (&self.top, Some(&self.base)), (&self.container, Some(&self.top))];
        let of = |(id, parent)| driver.check(id, parent).unwrap();
        all.into_iter().flat_map(of).chain(driver.check_home().unwrap()).map(|f| f.damage).collect()
    }

    /// Repairs parents first, as the trait says, until nothing more is found.
    fn repair(&self, driver: &dyn Driver) {
        for (id, parent) in
            [(&self.base, None), (&self.top, Some(&self.base)), (&self.container, Some(&self.top))]
        {
            for finding in driver.check(id, parent).unwrap() {
                driver.repair(&finding).unwrap();
                driver.repair(&finding).unwrap();
            }
        }
        for finding in driver.check_home().unwrap() {
            driver.repair(&finding).unwrap();
        }
    }
}

/// Does damage, wants it to be found as what `case` returns, mended, and the container's tree to be whole again.
fn mends(name: &str, case: impl FnOnce(&Bench, &Stack) -> Vec<Damage>) {
    run(name, super::open, |bench| {
        let stack = Stack::new(bench);
        let expected = case(bench, &stack);
        assert_eq!(stack.damages(&*bench.driver), expected);
        stack.repair(&*bench.driver);
        assert_eq!(stack.damages(&*bench.driver), []);
        bench.edit(&stack.container, |root| {
            assert!(root.join("file").exists() && root.join("top").exists());
            assert_eq!(fs::read_dir(root).unwrap().count(), 2);
        });
    });
}

fn link(path: PathBuf) -> LinkId {
    LinkId::parse(fs::read_to_string(path).unwrap().trim()).unwrap()
}

/// docker/for-linux#791: gone after a reboot, and the mount is refused.
#[test]
fn a_short_name_is_gone() {
    mends("a_short_name_is_gone", |bench, stack| {
        let name = link(stack.path(&stack.base, "link"));
        fs::remove_file(stack.short_name(&stack.base)).unwrap();
        let refused = bench.driver.mount(&stack.container, Access::Write).unwrap_err();
        assert!(matches!(refused, Error::Damaged(_)), "{refused}");
        vec![Damage::ShortName(name), Damage::DanglingLower(name), Damage::DanglingLower(name)]
    });
}

#[test]
fn a_short_name_leads_elsewhere() {
    mends("a_short_name_leads_elsewhere", |bench, stack| {
        let name = link(stack.path(&stack.base, "link"));
        let path = stack.short_name(&stack.base);
        fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink("/etc", &path).unwrap();
        assert!(bench.driver.mount(&stack.container, Access::Write).is_err());
        vec![
            Damage::ShortName(name),
            Damage::DanglingLower(name),
            Damage::DanglingLower(name),
            Damage::DanglingShortName(name),
        ]
    });
}

/// moby#35747: a power cut left `link` empty. The name is still in `l/`, and in the children.
#[test]
fn an_empty_link_whose_name_is_known() {
    mends("an_empty_link_whose_name_is_known", |_, stack| {
        fs::write(stack.path(&stack.base, "link"), "").unwrap();
        vec![Damage::Link("empty")]
    });
}

/// Nothing tells the old name: the layer gets a new one, and the chains of all layers above it are written again.
#[test]
fn a_link_that_nothing_remembers() {
    mends("a_link_that_nothing_remembers", |_, stack| {
        let name = link(stack.path(&stack.base, "link"));
        fs::remove_file(stack.short_name(&stack.base)).unwrap();
        fs::remove_file(stack.path(&stack.base, "link")).unwrap();
        vec![Damage::Link("missing"), Damage::DanglingLower(name), Damage::DanglingLower(name)]
    });
}

/// moby.md §8.3: a child made while the parent's `link` was empty has the link directory itself as a layer.
#[test]
fn a_lower_that_names_the_link_directory() {
    mends("a_lower_that_names_the_link_directory", |bench, stack| {
        fs::write(stack.path(&stack.container, "lower"), "l").unwrap();
        assert!(bench.driver.mount(&stack.container, Access::Write).is_err());
        let parent = Some(stack.top.clone());
        vec![Damage::Lower { why: "names something that is no layer", parent }]
    });
}

#[test]
fn a_lower_is_empty_missing_or_wrong() {
    for (content, why) in
        [(Some(""), "is empty"), (None, "is missing"), (Some("base"), "is not the chain of its parent")]
    {
        mends("a_lower_is_empty_missing_or_wrong", |_, stack| {
            let path = stack.path(&stack.container, "lower");
            match content {
                None => fs::remove_file(path).unwrap(),
                Some("") => fs::write(path, "").unwrap(),
                Some(_) => fs::copy(stack.path(&stack.top, "lower"), path).map(|_| ()).unwrap(),
            }
            vec![Damage::Lower { why, parent: Some(stack.top.clone()) }]
        });
    }
}

#[test]
fn without_the_parent_lower_cannot_be_mended() {
    run("without_the_parent_lower_cannot_be_mended", super::open, |bench| {
        let stack = Stack::new(bench);
        fs::write(stack.path(&stack.container, "lower"), "").unwrap();
        let findings = bench.driver.check(&stack.container, None).unwrap();
        assert!(findings.len() == 1 && !findings[0].is_repairable());
        assert!(matches!(bench.driver.repair(&findings[0]), Err(Error::BeyondRepair(_))));
        assert_eq!(fs::read(stack.path(&stack.container, "lower")).unwrap(), b"");
    });
}

#[test]
fn the_work_directory_is_gone() {
    mends("the_work_directory_is_gone", |bench, stack| {
        fs::remove_dir_all(stack.path(&stack.container, "work")).unwrap();
        let refused = bench.driver.mount(&stack.container, Access::Write).unwrap_err();
        assert!(refused.to_string().contains("work directory is missing"), "{refused}");
        assert!(!stack.path(&stack.container, "merged").exists());
        vec![Damage::NoWork]
    });
}

/// The machine died while a container was mounted.
#[test]
fn a_mount_point_without_a_mount() {
    mends("a_mount_point_without_a_mount", |_, stack| {
        fs::create_dir(stack.path(&stack.container, "merged")).unwrap();
        vec![Damage::StrayMerged]
    });
}

#[test]
fn a_short_name_of_a_layer_that_is_gone() {
    mends("a_short_name_of_a_layer_that_is_gone", |_, stack| {
        let name = LinkId::from_random([7; 17]);
        std::os::unix::fs::symlink("../gone/diff", stack.home.join("l").join(name.to_string())).unwrap();
        vec![Damage::DanglingShortName(name)]
    });
}

#[test]
fn lost_files_are_named_and_left() {
    run("lost_files_are_named_and_left", super::open, |bench| {
        let stack = Stack::new(bench);
        fs::remove_dir_all(stack.path(&stack.top, "diff")).unwrap();
        let findings = bench.driver.check(&stack.top, Some(&stack.base)).unwrap();
        assert!(findings.len() == 1 && findings[0].damage == Damage::NoDiff && !findings[0].is_repairable());
        assert!(matches!(bench.driver.repair(&findings[0]), Err(Error::BeyondRepair(_))));
        let refused = bench.driver.mount(&stack.container, Access::Write).unwrap_err();
        assert!(matches!(refused, Error::Damaged(_)), "{refused}");
    });
}

/// What the format does not know may be somebody's: BuildKit's, a person's.
#[test]
fn unknown_things_are_neither_judged_nor_touched() {
    run("unknown_things_are_neither_judged_nor_touched", super::open, |bench| {
        let stack = Stack::new(bench);
        let unknown =
            [stack.home.join("l/README"), stack.home.join("notes"), stack.path(&stack.top, "notes")];
        unknown.iter().for_each(|path| fs::write(path, "mine").unwrap());
        fs::create_dir(stack.home.join("metacopy-check123")).unwrap();
        assert_eq!(stack.damages(&*bench.driver), []);
        bench.driver.sweep().unwrap();
        assert!(unknown.iter().all(|path| path.exists()) && stack.home.join("metacopy-check123").exists());
    });
}
