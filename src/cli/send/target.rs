use std::fmt;
use std::str::FromStr;

use http::Uri;
use http::uri::Scheme;

/// A URL that WeChat could call.
#[derive(Debug, Clone)]
pub(in crate::cli) struct Target {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) is_https: bool,
    /// As the Host header has it.
    pub(super) authority: String,
    path: String,
    query: Option<String>,
}

impl Target {
    /// The request target, with the parameters that WeChat adds behind those of the URL.
    pub(super) fn with(&self, parameters: &str) -> String {
        match &self.query {
            Some(query) => format!("{}?{query}&{parameters}", self.path),
            None => format!("{}?{parameters}", self.path),
        }
    }
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let form = "a URL looks like http://127.0.0.1:8080/wechat";
        let uri: Uri = text.parse().map_err(|error| format!("{error}; {form}"))?;
        let is_https = match uri.scheme() {
            Some(scheme) if *scheme == Scheme::HTTP => false,
            Some(scheme) if *scheme == Scheme::HTTPS => true,
            _ => return Err(format!("WeChat calls http:// and https://; {form}")),
        };
        let authority = uri.authority().filter(|authority| !authority.host().is_empty()).ok_or(form)?;
        if authority.as_str().contains('@') {
            return Err("WeChat sends no user name and no password".to_owned());
        }
        Ok(Self {
            host: authority.host().trim_matches(['[', ']']).to_owned(),
            port: authority.port_u16().unwrap_or(if is_https { 443 } else { 80 }),
            is_https,
            authority: authority.to_string(),
            path: uri.path().to_owned(),
            query: uri.query().map(str::to_owned),
        })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_https { "https" } else { "http" };
        write!(f, "{scheme}://{}{}", self.authority, self.path)?;
        self.query.as_ref().map_or(Ok(()), |query| write!(f, "?{query}"))
    }
}

#[cfg(test)]
mod tests {
    use super::Target;

    #[test]
    fn urls_are_taken_apart() {
        for (url, host, port, target) in [
            ("http://127.0.0.1:8080", "127.0.0.1", 8080, "/?p=1"),
            ("http://wx.example.com/wechat", "wx.example.com", 80, "/wechat?p=1"),
            ("https://[::1]/wx?app=2", "::1", 443, "/wx?app=2&p=1"),
        ] {
            let read: Target = url.parse().unwrap();
            assert_eq!((&*read.host, read.port, &*read.with("p=1")), (host, port, target), "{url}");
        }
    }

    #[test]
    fn what_wechat_could_not_call_is_refused() {
        for url in ["", "127.0.0.1:8080", "/wechat", "ftp://a", "http://", "http://u:p@a", "unix:/run/a.sock"] {
            assert!(url.parse::<Target>().is_err(), "{url:?}");
        }
    }
}
