//! How a shard waits for a moment of its schedule.

/// Ways to wait: the less sleep, the more precise, and the more CPU time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pacing {
    /// Sleep until the moment. The kernel wakes the shard a little late.
    #[default]
    Sleep,
    /// Sleep until shortly before it, by as much as wake-ups have been late, and then spin.
    Hybrid,
    /// Spin all the time.
    Spin,
}
