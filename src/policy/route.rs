//! Which route a request takes: by host, then by the longest path.

use std::fmt;

/// The hosts a route answers for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostPattern {
    Any,
    /// `wx.example.com`, in lower case.
    Exact(String),
    /// What stands behind the star of `*.example.com`, with its dot, in lower case. Any number of
    /// labels may stand before it.
    Suffix(String),
}

impl HostPattern {
    fn matches(&self, host: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Exact(name) => host.eq_ignore_ascii_case(name),
            Self::Suffix(suffix) => {
                let start = host.len().checked_sub(suffix.len()).filter(|start| *start > 0);
                start.and_then(|start| host.get(start..)).is_some_and(|end| end.eq_ignore_ascii_case(suffix))
            }
        }
    }

    /// Exact before wildcard before any; of two wildcards, the longer one.
    fn weight(&self) -> usize {
        match self {
            Self::Any => 0,
            Self::Suffix(suffix) => suffix.len(),
            Self::Exact(_) => usize::MAX,
        }
    }
}

/// As written in the configuration; nothing for any host.
impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => Ok(()),
            Self::Exact(name) => f.write_str(name),
            Self::Suffix(suffix) => write!(f, "*{suffix}"),
        }
    }
}

/// All routes, in the order in which they are tried.
#[derive(Debug, Default)]
pub struct RouteTable {
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    host: HostPattern,
    /// Without a trailing slash: `""` matches every path.
    path: String,
    route: usize,
}

impl RouteTable {
    /// The table of these hosts and paths; a route is known by its position.
    pub fn new(routes: impl IntoIterator<Item = (HostPattern, String)>) -> Self {
        let mut entries: Vec<_> = routes
            .into_iter()
            .enumerate()
            .map(|(route, (host, path))| Entry { host, path: path.trim_end_matches('/').to_owned(), route })
            .collect();
        entries.sort_by_key(|entry| std::cmp::Reverse((entry.host.weight(), entry.path.len())));
        Self { entries }
    }

    /// The route of a request: `host` as it stands in the Host header, `path` as on the request line,
    /// neither decoded nor normalised.
    pub fn find(&self, host: &str, path: &str) -> Option<usize> {
        let host = without_port(host);
        let entry = self.entries.iter().find(|entry| is_below(path, &entry.path) && entry.host.matches(host))?;
        Some(entry.route)
    }
}

/// `wx.example.com:8080` and `wx.example.com.` are `wx.example.com`.
fn without_port(host: &str) -> &str {
    let name = match host.rfind(']') {
        Some(end) => &host[..=end],
        None => host.split_once(':').map_or(host, |(name, _)| name),
    };
    name.strip_suffix('.').unwrap_or(name)
}

/// Whether `prefix` matches whole segments of `path`.
fn is_below(path: &str, prefix: &str) -> bool {
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || prefix.is_empty())
}

#[cfg(test)]
mod tests {
    use super::{HostPattern, RouteTable};

    fn table() -> RouteTable {
        RouteTable::new(
            [
                (HostPattern::Any, "/"),
                (HostPattern::Any, "/wechat/shop"),
                (HostPattern::Any, "/wechat/shop/vip/"),
                (HostPattern::Suffix(".example.com".into()), "/"),
                (HostPattern::Suffix(".wx.example.com".into()), "/"),
                (HostPattern::Exact("wx.example.com".into()), "/wechat"),
            ]
            .map(|(host, path)| (host, path.to_owned())),
        )
    }

    #[test]
    fn the_host_decides_before_the_longest_path() {
        for (host, path, route) in [
            ("other", "/", 0),
            ("other", "/wechat/shopping", 0),
            ("other", "/wechat/shop", 1),
            ("other", "/wechat/shop/", 1),
            ("other", "/wechat/shop/x", 1),
            ("other", "/wechat/shop/vip", 2),
            ("other", "/wechat/shop/vip/x", 2),
            ("a.example.com", "/wechat/shop", 3),
            ("A.Example.COM:8080", "/", 3),
            ("a.wx.example.com", "/", 4),
            ("example.com", "/", 0),
            (".example.com", "/", 0),
            ("wx.example.com", "/wechat/shop", 5),
            ("wx.example.com.", "/wechat", 5),
            ("wx.example.com", "/", 3),
            ("[::1]:80", "/", 0),
        ] {
            assert_eq!(table().find(host, path), Some(route), "{host} {path}");
        }
    }

    #[test]
    fn nothing_matches_where_no_route_is_meant_for_it() {
        let table = RouteTable::new([(HostPattern::Exact("wx.example.com".into()), "/wechat".to_owned())]);
        assert_eq!(table.find("wx.example.com", "/"), None);
        assert_eq!(table.find("other", "/wechat"), None);
    }
}
