//! The keys under which servers stand in files of credentials.

/// Docker's key for its own registry, from the days when that was an index.
pub const DOCKER_HUB: &str = "https://index.docker.io/v1/";

/// The names of Docker's registry.
const HUB: [&str; 2] = ["docker.io", "index.docker.io"];

/// The key for the credentials of `server`, as `docker login` makes it: of a URL the host and port; for Docker's own
/// registry, and for an empty text, [`DOCKER_HUB`].
pub fn key(server: &str) -> &str {
    let host = host(server);
    if host.is_empty() || HUB.contains(&host) { DOCKER_HUB } else { host }
}

/// Host and port of a server, a URL or a repository.
pub fn host(server: &str) -> &str {
    let rest = server.split_once("://").map_or(server, |(_, rest)| rest);
    rest.split('/').next().unwrap_or_default()
}

/// The keys to look for, in this order, for the credentials of a server or of one of its repositories
/// (`host[:port][/path]`): the repository, the namespaces above it and the server (containers-auth.json(5)).
pub(super) fn candidates(server: &str) -> Vec<&str> {
    let mut keys = Vec::new();
    if !server.contains("://") {
        let ends = server.match_indices('/').map(|(at, _)| at).chain([server.len()]);
        keys.extend(ends.skip(1).map(|end| &server[..end]));
        keys.reverse();
    }
    keys.extend(names(server));
    keys
}

/// The keys of the server alone.
pub(super) fn names(server: &str) -> Vec<&str> {
    match key(server) {
        DOCKER_HUB => [DOCKER_HUB].into_iter().chain(HUB).collect(),
        host => vec![host],
    }
}

/// Whether what somebody stored as a key is a URL of the server; old versions of Docker kept it whole.
pub(super) fn is_url_of(stored: &str, server: &str) -> bool {
    stored.contains("://") && key(stored) == key(server)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_dockers() {
        for (server, expected) in [
            ("", DOCKER_HUB),
            ("docker.io", DOCKER_HUB),
            ("index.docker.io", DOCKER_HUB),
            ("https://index.docker.io/v1/", DOCKER_HUB),
            ("registry-1.docker.io/bork/test", "registry-1.docker.io"),
            ("quay.io", "quay.io"),
            ("https://quay.io", "quay.io"),
            ("http://localhost:5000/v2/", "localhost:5000"),
            ("localhost:5000/a/b", "localhost:5000"),
            ("[::1]:5000", "[::1]:5000"),
            ("https://[::1]:5000/v2/", "[::1]:5000"),
        ] {
            assert_eq!(key(server), expected, "{server}");
        }
    }

    #[test]
    fn the_most_specific_key_comes_first() {
        assert_eq!(
            candidates("quay.io/org/team/x"),
            ["quay.io/org/team/x", "quay.io/org/team", "quay.io/org", "quay.io"]
        );
        assert_eq!(candidates("quay.io"), ["quay.io"]);
        assert_eq!(candidates("https://quay.io/v2/"), ["quay.io"]);
        assert_eq!(
            candidates("docker.io/library/x"),
            ["docker.io/library/x", "docker.io/library", DOCKER_HUB, "docker.io", "index.docker.io"]
        );
        assert!(is_url_of("https://quay.io/v1/", "quay.io/x") && !is_url_of("quay.io", "quay.io"));
        assert!(!is_url_of("https://quay.io.evil/", "quay.io"));
    }
}
