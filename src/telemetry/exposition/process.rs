//! What the system says about this process.

/// Resident memory; `None` where the system does not say (no `/proc`).
///
/// From `status`, which counts in KiB, rather than `statm`, which counts in pages whose size it does not give.
pub(super) fn resident_bytes() -> Option<u64> {
    resident_in(&std::fs::read_to_string("/proc/self/status").ok()?)
}

fn resident_in(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim_end().parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resident_memory_is_read_from_its_line() {
        assert_eq!(resident_in("VmHWM:\t    9000 kB\nVmRSS:\t    1234 kB\nRssAnon:\t 7 kB\n"), Some(1234 * 1024));
        assert_eq!(resident_in("Name:\tserin\n"), None);
        assert_eq!(resident_in("VmRSS:\tmuch\n"), None);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_process_has_memory() {
        assert!(resident_bytes().is_some_and(|bytes| bytes > 100_000));
    }
}
