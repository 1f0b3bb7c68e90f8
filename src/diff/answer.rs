//! An answer as it is compared.

/// What came back for a request, as far as it is looked at.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// Headers by name in lower case; one line each.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body; `None` where it was too long to be kept.
    pub body: Option<Vec<u8>>,
}

impl Answer {
    /// About how many bytes it takes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let headers: usize = self.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
        headers + self.body.as_ref().map_or(0, Vec::len)
    }

    /// The values of a header, joined as HTTP allows; `None` where there is none.
    pub(super) fn header(&self, name: &str) -> Option<String> {
        let lines = self.headers.iter().filter(|(known, _)| known == name);
        let values: Vec<_> = lines.map(|(_, value)| String::from_utf8_lossy(value)).collect();
        (!values.is_empty()).then(|| values.join(", "))
    }
}
