//! Patterns with `{name}` captures, and templates that are filled from them.

/// Literal text and captures in turn; a capture stands for one or more characters but `/`.
pub(super) struct Pattern {
    /// What stands before the first capture.
    start: String,
    /// Each capture's name, and the literal that follows it; empty only after the last.
    captures: Vec<(String, String)>,
}

impl Pattern {
    /// `None` where braces do not pair, a name is empty or stands twice, or two captures touch: between those nobody
    /// could say where one ends.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (start, captures) = split(text)?;
        let names: Vec<_> = captures.iter().map(|(name, _)| name).collect();
        let unique = names.iter().enumerate().all(|(at, name)| names.iter().skip(at + 1).all(|other| other != name));
        let (_, before_last) = captures.split_last().map_or((None, &captures[..]), |(last, rest)| (Some(last), rest));
        let apart = before_last.iter().all(|(_, literal)| !literal.is_empty());
        (unique && apart).then_some(Self { start, captures })
    }

    /// What the captures stand for in `value`, in order; `None` where it does not fit from end to end.
    ///
    /// The first place where a literal fits is the only one that need be tried: a later one would leave more to the
    /// capture before it, and no less of what it may not hold to the one after it. So this takes linear time.
    pub(super) fn captures<'v>(&self, value: &'v str) -> Option<Vec<&'v str>> {
        let mut rest = value.strip_prefix(self.start.as_str())?;
        let Some((last, others)) = self.captures.split_last() else {
            return rest.is_empty().then(Vec::new);
        };
        let mut found = Vec::with_capacity(self.captures.len());
        for (_, literal) in others {
            let first = rest.chars().next()?.len_utf8();
            let length = first + rest.get(first..)?.find(literal.as_str())?;
            found.push(rest.get(..length)?);
            rest = rest.get(length + literal.len()..)?;
        }
        found.push(rest.strip_suffix(last.1.as_str())?);
        found.iter().all(|capture| !capture.is_empty() && !capture.contains('/')).then_some(found)
    }

    /// The names of its captures, in order.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.captures.iter().map(|(name, _)| name.as_str())
    }
}

/// Text with the values of captures in it; empty: the whole value.
pub(super) struct Template {
    start: String,
    /// Which capture, and the literal that follows it.
    parts: Vec<(usize, String)>,
    whole: bool,
}

impl Template {
    /// `None` where it names a capture that is not among these.
    pub(super) fn parse(text: &str, captures: &[&str]) -> Option<Self> {
        let (start, parts) = split(text)?;
        let position = |name: &str| captures.iter().position(|own| *own == name);
        let parts = parts.into_iter().map(|(name, literal)| Some((position(&name)?, literal)));
        Some(Self { start, parts: parts.collect::<Option<_>>()?, whole: text.is_empty() })
    }

    /// Whether the whole value stands for it.
    pub(super) const fn is_whole(&self) -> bool {
        self.whole
    }

    /// Which captures it uses.
    pub(super) fn uses(&self) -> impl Iterator<Item = usize> {
        self.parts.iter().map(|(which, _)| *which)
    }

    /// `value`: what stands for all where it is empty.
    pub(super) fn fill(&self, value: &str, captures: &[&str]) -> String {
        if self.whole {
            return value.to_owned();
        }
        let mut filled = self.start.clone();
        for (which, literal) in &self.parts {
            filled.push_str(captures.get(*which).copied().unwrap_or_default());
            filled.push_str(literal);
        }
        filled
    }
}

/// `a{b}c{d}` → `a`, [(`b`, `c`), (`d`, ``)].
fn split(text: &str) -> Option<(String, Vec<(String, String)>)> {
    let mut pieces = text.split('{');
    let start = pieces.next().unwrap_or_default();
    if start.contains('}') {
        return None;
    }
    let parts = pieces.map(|piece| {
        let (name, literal) = piece.split_once('}')?;
        (!name.is_empty() && !literal.contains('}')).then(|| (name.to_owned(), literal.to_owned()))
    });
    Some((start.to_owned(), parts.collect::<Option<_>>()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn captures<'v>(pattern: &str, value: &'v str) -> Option<Vec<&'v str>> {
        Pattern::parse(pattern).unwrap().captures(value)
    }

    #[test]
    fn captures_are_one_or_more_characters_but_a_slash() {
        let spiffe = "spiffe://cluster.local/ns/{ns}/sa/{sa}";
        assert_eq!(captures(spiffe, "spiffe://cluster.local/ns/shop/sa/cart"), Some(vec!["shop", "cart"]));
        for other in [
            "spiffe://cluster.local/ns//sa/cart",
            "spiffe://cluster.local/ns/shop/sa/",
            "spiffe://cluster.local/ns/shop/sa/cart/more",
            "spiffe://cluster.local/ns/a/b/sa/cart",
            "spiffe://cluster.locale/ns/shop/sa/cart",
            "xspiffe://cluster.local/ns/shop/sa/cart",
            "spiffe://cluster.local/ns/shop",
            "",
        ] {
            assert_eq!(captures(spiffe, other), None, "{other}");
        }
    }

    #[test]
    fn f25_a_dot_in_a_pattern_is_a_dot() {
        assert_eq!(captures("api.example.com", "api.example.com"), Some(vec![]));
        assert_eq!(captures("api.example.com", "apixexample.com"), None);
        assert_eq!(captures("{host}.example.com", "a.example.com.evil"), None);
        assert_eq!(captures("{host}.example.com", "a.example.com"), Some(vec!["a"]));
    }

    #[test]
    fn the_end_is_part_of_the_pattern() {
        assert_eq!(captures("{a}-x", "1-x-x"), Some(vec!["1-x"]));
        assert_eq!(captures("{a}-{b}-x", "1-2-x"), Some(vec!["1", "2"]));
        assert_eq!(captures("{a}-x", "-x"), None);
        assert_eq!(captures("ab{a}b", "ab"), None);
    }

    #[test]
    fn malformed_patterns_are_none() {
        for pattern in ["{a}{b}", "{", "}", "{}", "{a}/{a}", "{a", "a}b", "{a}}"] {
            assert!(Pattern::parse(pattern).is_none(), "{pattern}");
        }
        assert!(Template::parse("{c}", &["a", "b"]).is_none());
    }

    #[test]
    fn templates_are_filled_in_their_own_order() {
        let fill = |template| Template::parse(template, &["a", "b"]).unwrap().fill("x/y", &["x", "y"]);
        assert_eq!(fill("{b}@{a}!"), "y@x!");
        assert_eq!(fill("fixed"), "fixed");
        assert_eq!(fill(""), "x/y");
    }
}
