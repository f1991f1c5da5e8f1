//! `ps`: lists containers.

use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;

use engine::Engine;
use engine::containers::{ContainerSummary, ListContainers};
use model::{ContainerId, ImageId};

use crate::context::Context;
use crate::options::{ListingFilter, ListingFormat};
use crate::output::failure::Failure;
use crate::output::filter::Filters;
use crate::output::listing::Listing;
use crate::output::{ports, stdout};
use crate::rows::Show;
use crate::rows::container::{ContainerRow, NAMED, NAMED_WITH_SIZE};

/// List containers
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Show all containers (default shows just running)
    #[arg(short, long)]
    all: bool,
    #[command(flatten)]
    filter: ListingFilter,
    #[command(flatten)]
    format: ListingFormat,
    /// Show n last created containers (includes all states)
    #[arg(short = 'n', long, value_name = "int", default_value_t = -1)]
    last: i64,
    /// Show the latest created container (includes all states)
    #[arg(short, long)]
    latest: bool,
    /// Don't truncate output
    #[arg(long)]
    no_trunc: bool,
    /// Only display container IDs
    #[arg(short, long)]
    quiet: bool,
    /// Display total file sizes
    #[arg(short, long)]
    size: bool,
}

/// Lists containers, the newest first.
///
/// # Errors
/// The format's, a filter's, or the engine's.
pub fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let named = if args.size { NAMED_WITH_SIZE } else { NAMED };
    let listing: Listing<ContainerRow> = Listing::parse(&args.format.format, args.quiet, &named)?;
    let filters = Filters::new(args.filter.filter.iter().cloned(), &FILTERS)?;
    let last = if args.latest { Some(1) } else { usize::try_from(args.last).ok().filter(|&n| n > 0) };

    let engine = context.read()?;
    let selection = Selection::new(&engine, &filters)?;
    // Docker shows what does not run, too, to somebody who asks for a state or a number of containers.
    let all = args.all || last.is_some() || filters.has("status");
    let size = args.size || listing.names("Size");
    let mut containers = selection.of(engine.list_containers(&ListContainers { all: true, size })?)?;
    containers.retain(|container| all || is_running(container));
    containers.truncate(last.unwrap_or(usize::MAX));
    let show = Rc::new(Show::new(args.no_trunc));
    let rows = containers.into_iter().map(|container| ContainerRow::new(container, &show));
    stdout::print(&listing.render(rows)?)
}

/// What Docker's list shows without `--all`.
fn is_running(container: &ContainerSummary) -> bool {
    matches!(container.state.as_str(), "running" | "paused" | "restarting")
}

/// The filters of `docker ps`. `isolation` means something on Windows only, `is-task` with Swarm.
const FILTERS: [&str; 16] = [
    "ancestor",
    "before",
    "exited",
    "expose",
    "health",
    "id",
    "is-task",
    "isolation",
    "label",
    "label!",
    "name",
    "network",
    "publish",
    "since",
    "status",
    "volume",
];

/// Docker's states.
const STATES: [&str; 7] = ["created", "running", "paused", "restarting", "removing", "exited", "dead"];
/// What a health check finds.
const HEALTHS: [&str; 4] = ["none", "starting", "healthy", "unhealthy"];

/// Looks up the ports that a container publishes.
type PublishedPorts<'a> = dyn Fn(&ContainerId) -> Result<Vec<String>, Failure> + 'a;

/// The filters, looked up.
struct Selection<'a> {
    filters: &'a Filters,
    published_ports: Box<PublishedPorts<'a>>,
    exited: Vec<i64>,
    exposed: BTreeSet<String>,
    published: BTreeSet<String>,
    /// Whether containers of Swarm's are asked for. None is one here.
    tasks: bool,
    /// Images of `ancestor` and all that were built on them.
    ancestors: Option<BTreeSet<ImageId>>,
    before: Option<String>,
    since: Option<String>,
}

impl<'a> Selection<'a> {
    fn new(engine: &'a Engine, filters: &'a Filters) -> Result<Self, Failure> {
        refuse_unknown(filters, "status", "state", &STATES)?;
        refuse_unknown(filters, "health", "health", &HEALTHS)?;
        let exited: Result<Vec<i64>, _> = filters.values("exited").map(str::parse).collect();
        let container = |key| -> Result<Option<String>, Failure> {
            let ids: Result<Vec<_>, _> =
                filters.values(key).map(|name| engine.find_container(name)).collect();
            Ok(ids?.pop().map(|id| id.to_string()))
        };
        Ok(Self {
            filters,
            published_ports: Box::new(|container| Ok(engine.published_ports(container)?)),
            exposed: ports::of(filters, "expose")?,
            published: ports::of(filters, "publish")?,
            tasks: filters.boolean("is-task")?.unwrap_or(false),
            exited: exited.map_err(|_| filters.refuse("exited"))?,
            ancestors: filters.has("ancestor").then(|| ancestors(engine, filters)).transpose()?,
            before: container("before")?,
            since: container("since")?,
        })
    }

    /// Those of `containers`, the newest first, that pass.
    fn of(&self, containers: Vec<ContainerSummary>) -> Result<Vec<ContainerSummary>, Failure> {
        let mut older = self.before.is_none();
        let mut chosen = Vec::new();
        for container in containers {
            let id = container.id.to_string();
            if self.since.as_ref() == Some(&id) {
                break;
            }
            if older && self.takes(&container, &id) && self.publishes(&container.id)? {
                chosen.push(container);
            }
            older |= self.before.as_ref() == Some(&id);
        }
        Ok(chosen)
    }

    /// Asked last: it takes a second file of the container.
    fn publishes(&self, container: &ContainerId) -> Result<bool, Failure> {
        let ports = || (self.published_ports)(container);
        Ok(self.published.is_empty() || ports()?.iter().any(|port| self.published.contains(port)))
    }

    fn takes(&self, container: &ContainerSummary, id: &str) -> bool {
        let filters = self.filters;
        let names = &container.names;
        let name = |name: &String| filters.regex("name", name) || filters.regex("name", &format!("/{name}"));
        filters.regex("id", id)
            && (!filters.has("name") || names.iter().any(name))
            && filters.labels(&container.labels)
            && filters.exact("status", &container.state)
            && self.exited_as_asked(container)
            && self
                .ancestors
                .as_ref()
                .is_none_or(|images| container.image_id.is_some_and(|id| images.contains(&id)))
            && any(filters, "volume", container.mounts.iter().flat_map(|m| [&m.name, &m.destination]))
            && any(filters, "network", &container.networks)
            && filters.exact("health", &container.health)
            && (self.exposed.is_empty() || container.exposed.iter().any(|port| self.exposed.contains(port)))
            && !self.tasks
    }

    /// A container that never ran has no exit code.
    fn exited_as_asked(&self, container: &ContainerSummary) -> bool {
        let ran = container.state != "created" && !is_running(container);
        self.exited.is_empty() || ran && self.exited.contains(&container.exit_code)
    }
}

/// Whether one of the values is asked for.
fn any<'a>(filters: &Filters, key: &str, values: impl IntoIterator<Item = &'a String>) -> bool {
    !filters.has(key) || values.into_iter().any(|value| filters.exact(key, value))
}

/// Refuses values of a filter that are none of `known`. Docker has a word for what it is about.
fn refuse_unknown(filters: &Filters, key: &str, what: &str, known: &[&str]) -> Result<(), Failure> {
    match filters.values(key).find(|value| !known.contains(value)) {
        None => Ok(()),
        Some(value) => Err(Failure::refused(format_args!(
            "invalid filter '{key}={value}': invalid value for {what} ({value}): must be one of {}",
            known.join(", ")
        ))),
    }
}

/// The images that the filter names, and those that were built on them here. Docker passes over a name that is no
/// image's.
fn ancestors(engine: &Engine, filters: &Filters) -> Result<BTreeSet<ImageId>, Failure> {
    let mut children: HashMap<ImageId, Vec<ImageId>> = HashMap::new();
    for image in engine.list_images(true)? {
        if let Some(parent) = image.parent {
            children.entry(parent).or_default().push(image.id);
        }
    }
    let mut todo: Vec<ImageId> =
        filters.values("ancestor").filter_map(|name| engine.find_image(name).ok()).collect();
    let mut found = BTreeSet::new();
    while let Some(image) = todo.pop() {
        if found.insert(image) {
            todo.extend(children.remove(&image).unwrap_or_default());
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::containers::Mounted;
    use model::Timestamp;
    use std::collections::BTreeMap;

    fn container(digit: char, name: &str, state: &str, exit_code: i64) -> ContainerSummary {
        ContainerSummary {
            id: ContainerId::parse(&digit.to_string().repeat(64)).unwrap(),
            names: vec![name.into()],
            image: "busybox".into(),
            image_id: Some(ImageId::of(digit.to_string().as_bytes())),
            command: String::new(),
            created: Timestamp::EPOCH,
            state: state.into(),
            status: String::new(),
            exit_code,
            labels: BTreeMap::new(),
            mounts: vec![Mounted { name: format!("vol-{name}"), destination: format!("/srv/{name}") }],
            local_volumes: 0,
            networks: vec!["bridge".into()],
            health: if state == "running" { "healthy" } else { "none" }.into(),
            exposed: vec![format!("80{exit_code}/tcp")],
            size_rw: None,
            size_root_fs: None,
        }
    }

    /// The names of the three containers that pass `filters`.
    fn select(texts: &[&str], adjust: impl FnOnce(&mut Selection<'_>)) -> Vec<String> {
        let filters: Vec<_> = texts.iter().map(|text| text.parse().unwrap()).collect();
        let filters = Filters::new(filters, &FILTERS).unwrap();
        let mut selection = Selection {
            filters: &filters,
            published_ports: Box::new(|id| Ok(vec![format!("{}/udp", id.short().len())])),
            exited: filters.values("exited").map(|code| code.parse().unwrap()).collect(),
            exposed: ports::of(&filters, "expose").unwrap(),
            published: ports::of(&filters, "publish").unwrap(),
            tasks: filters.boolean("is-task").unwrap().unwrap_or(false),
            ancestors: None,
            before: None,
            since: None,
        };
        adjust(&mut selection);
        let containers = vec![
            container('a', "web", "exited", 7),
            container('b', "db", "running", 0),
            container('c', "db2", "created", 7),
        ];
        selection.of(containers).unwrap().into_iter().flat_map(|container| container.names).collect()
    }

    #[test]
    fn filters_are_dockers() {
        let by = |texts: &[&str]| select(texts, |_| {});
        assert_eq!(by(&[]), ["web", "db", "db2"]);
        assert_eq!(by(&["id=bbb"]), ["db"]);
        assert_eq!(by(&["name=db"]), ["db", "db2"]);
        assert_eq!(by(&["name=^/db$"]), ["db"]);
        assert_eq!(by(&["name=^db$", "name=web"]), ["web", "db"]);
        assert_eq!(by(&["status=created", "status=exited"]), ["web", "db2"]);
        assert_eq!(by(&["exited=7"]), ["web"]);
        assert_eq!(by(&["volume=vol-db"]), ["db"]);
        assert_eq!(by(&["volume=/srv/db2"]), ["db2"]);
        assert_eq!(by(&["health=none"]), ["web", "db2"]);
        assert_eq!(by(&["health=healthy"]), ["db"]);
        assert_eq!(by(&["expose=807"]), ["web", "db2"]);
        assert_eq!(by(&["expose=790-800/tcp", "expose=1"]), ["db"]);
        assert_eq!(by(&["publish=12/udp", "expose=800"]), ["db"]);
        assert_eq!(by(&["publish=12"]), [""; 0]);
        assert_eq!(by(&["is-task=true"]), [""; 0]);
        assert_eq!(by(&["isolation=default", "is-task=0"]), ["web", "db", "db2"]);
        assert_eq!(by(&["network=host"]), [""; 0]);
        assert_eq!(by(&["label=x"]), [""; 0]);
    }

    #[test]
    fn before_and_since_follow_the_order_of_the_list() {
        let id = |digit: char| Some(digit.to_string().repeat(64));
        assert_eq!(select(&[], |selection| selection.before = id('a')), ["db", "db2"]);
        assert_eq!(select(&[], |selection| selection.since = id('c')), ["web", "db"]);
        assert_eq!(select(&[], |selection| (selection.before, selection.since) = (id('a'), id('c'))), ["db"]);
    }

    #[test]
    fn ancestors_are_images() {
        let of_b = BTreeSet::from([ImageId::of(b"b")]);
        assert_eq!(select(&["ancestor=x"], |selection| selection.ancestors = Some(of_b)), ["db"]);
        assert_eq!(select(&["ancestor=x"], |selection| selection.ancestors = Some(BTreeSet::new())), [""; 0]);
    }
}
