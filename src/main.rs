//! The `serin` command; everything it can do is in the library's `cli` room.

use std::process::ExitCode;

/// Least memory per idle connection and least CPU per request of the allocators measured.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    serin::cli::main()
}
