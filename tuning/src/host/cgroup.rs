//! Control groups, version 2 and 1: which CPUs, and how much of them, this process may use.
//!
//! A limit may stand at any level between the process's group and the root, and the tightest one
//! holds. Inside a container the groups above are not visible; what is visible is read.

use std::path::{Path, PathBuf};

use super::cpu::{CpuList, Quota};

/// Groups deeper than this are not followed; the kernel's own default bound is far above what
/// exists.
const DEPTH_MAX: usize = 64;

/// The group directories of one controller, from the process's own up to the mount point.
fn ancestry(dir: &Path, mount: &Path) -> impl Iterator<Item = PathBuf> {
    let mount = mount.to_owned();
    let levels = dir.ancestors().map(Path::to_owned).take(DEPTH_MAX).collect::<Vec<_>>();
    levels.into_iter().take_while(move |level| level.starts_with(&mount))
}

/// Where a controller's group of this process is mounted.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    mount: PathBuf,
    dir: PathBuf,
    version: Version,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    One,
    Two,
}

/// The tightest CPU quota on the way up from the process's groups; `None` if there is none.
pub(super) fn quota(read: &impl Fn(&Path) -> Option<String>) -> Option<Quota> {
    let of_place = |place: Place| {
        let quotas = ancestry(&place.dir, &place.mount).filter_map(|level| match place.version {
            Version::Two => parse_cpu_max(&read(&level.join("cpu.max"))?),
            Version::One => parse_cfs(
                &read(&level.join("cpu.cfs_quota_us"))?,
                &read(&level.join("cpu.cfs_period_us"))?,
            ),
        });
        quotas.min()
    };
    places("cpu", read).into_iter().filter_map(of_place).min()
}

/// The CPUs that the process's groups allow; `None` if they do not say.
pub(super) fn cpuset(read: &impl Fn(&Path) -> Option<String>) -> Option<CpuList> {
    let of_place = |place: Place| {
        let names: &[&str] = match place.version {
            Version::Two => &["cpuset.cpus.effective"],
            Version::One => &["cpuset.effective_cpus", "cpuset.cpus"],
        };
        // A group may leave the choice to the one above: its file is then empty or missing.
        ancestry(&place.dir, &place.mount).find_map(|level| {
            names.iter().find_map(|name| read(&level.join(name))?.trim().parse().ok())
        })
    };
    places("cpuset", read).into_iter().find_map(of_place)
}

/// The group directories of each hierarchy that `controller` may belong to, from the process's own
/// group up.
pub(crate) fn levels(
    controller: &str,
    read: &impl Fn(&Path) -> Option<String>,
) -> Vec<Vec<PathBuf>> {
    let of_place = |place: Place| ancestry(&place.dir, &place.mount).collect();
    places(controller, read).into_iter().map(of_place).collect()
}

/// The places of `controller`: of version 1 if it is mounted there, and of version 2 if that is
/// mounted.
fn places(controller: &str, read: &impl Fn(&Path) -> Option<String>) -> Vec<Place> {
    let groups = read(Path::new("/proc/self/cgroup")).unwrap_or_default();
    let mounts = read(Path::new("/proc/self/mountinfo")).unwrap_or_default();
    mounts.lines().filter_map(|line| place(controller, line, &groups)).collect()
}

/// The place of `controller` in one line of `mountinfo`, if the line is about it:
/// `36 25 0:31 ROOT MOUNT rw,nosuid shared:11 - cgroup cgroup rw,cpu,cpuacct`.
fn place(controller: &str, line: &str, groups: &str) -> Option<Place> {
    let (left, right) = line.split_once(" - ")?;
    let mut left = left.split(' ').skip(3);
    let (root, mount) = (left.next()?, Path::new(left.next()?));
    let mut right = right.split(' ');
    let (kind, options) = (right.next()?, right.nth(1)?);
    let version = match kind {
        "cgroup2" => Version::Two,
        "cgroup" if options.split(',').any(|option| option == controller) => Version::One,
        _ => return None,
    };
    let group = groups.lines().find_map(|line| group(controller, version, line))?;
    // A container sees its own group as the root of the mount: what lies below is appended. A group
    // that lies outside of the mount cannot be read; the mount point is then the nearest that can.
    let below = Path::new(group).strip_prefix(root).unwrap_or(Path::new(""));
    Some(Place { mount: mount.to_owned(), dir: mount.join(below), version })
}

/// The group in one line of `/proc/self/cgroup`, if it is of that controller:
/// `4:cpu,cpuacct:/path`, or `0::/path` for version 2.
fn group<'t>(controller: &str, version: Version, line: &'t str) -> Option<&'t str> {
    let (number, rest) = line.split_once(':')?;
    let (controllers, path) = rest.split_once(':')?;
    let named = match version {
        Version::Two => number == "0" && controllers.is_empty(),
        Version::One => controllers.split(',').any(|name| name == controller),
    };
    named.then_some(path)
}

/// Parses `cpu.max`: quota and period in µs, `150000 100000`; `max` is no quota.
fn parse_cpu_max(text: &str) -> Option<Quota> {
    let (quota, period) = text.trim().split_once(' ')?;
    Quota::new(quota.parse().ok()?, period.parse().ok()?)
}

/// Parses `cpu.cfs_quota_us` and `cpu.cfs_period_us`; a quota of −1 is none.
fn parse_cfs(quota: &str, period: &str) -> Option<Quota> {
    Quota::new(quota.trim().parse().ok()?, period.trim().parse().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const V2_MOUNT: &str =
        "30 23 0:26 / /sys/fs/cgroup rw,nosuid,nodev - cgroup2 cgroup2 rw,nsdelegate\n";
    const V1_MOUNTS: &str = "\
        35 25 0:30 / /sys/fs/cgroup/cpu,cpuacct rw shared:10 - cgroup cgroup rw,cpu,cpuacct\n\
        36 25 0:31 /docker/1 /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n";

    /// A file system of a few texts.
    fn files(files: &[(&str, &str)]) -> impl Fn(&Path) -> Option<String> {
        let files: Vec<(PathBuf, String)> =
            files.iter().map(|&(path, text)| (path.into(), text.into())).collect();
        move |path| files.iter().find(|file| file.0 == path).map(|file| file.1.clone())
    }

    #[test]
    fn the_tightest_quota_on_the_way_up_holds() {
        let read = files(&[
            ("/proc/self/cgroup", "0::/pod/app\n"),
            ("/proc/self/mountinfo", V2_MOUNT),
            ("/sys/fs/cgroup/pod/app/cpu.max", "max 100000\n"),
            ("/sys/fs/cgroup/pod/cpu.max", "150000 100000\n"),
            ("/sys/fs/cgroup/cpu.max", "400000 100000\n"),
        ]);
        assert_eq!(quota(&read), Quota::new(150_000, 100_000));
    }

    #[test]
    fn a_quota_of_version_1_is_found_in_its_own_hierarchy() {
        let read = files(&[
            ("/proc/self/cgroup", "4:cpu,cpuacct:/user\n3:cpuset:/docker/1\n0::/\n"),
            ("/proc/self/mountinfo", V1_MOUNTS),
            ("/sys/fs/cgroup/cpu,cpuacct/user/cpu.cfs_quota_us", "50000\n"),
            ("/sys/fs/cgroup/cpu,cpuacct/user/cpu.cfs_period_us", "100000\n"),
            ("/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "-1\n"),
            ("/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n"),
        ]);
        assert_eq!(quota(&read), Quota::new(50_000, 100_000));
    }

    #[test]
    fn the_cpu_set_of_a_container_is_read_at_its_mount_point() {
        let read = files(&[
            ("/proc/self/cgroup", "3:cpuset:/docker/1\n"),
            ("/proc/self/mountinfo", V1_MOUNTS),
            ("/sys/fs/cgroup/cpuset/cpuset.cpus", "2-3\n"),
        ]);
        assert_eq!(cpuset(&read), Some("2,3".parse().unwrap()));
    }

    #[test]
    fn an_empty_cpu_set_leaves_the_choice_to_the_group_above() {
        let read = files(&[
            ("/proc/self/cgroup", "0::/a/b\n"),
            ("/proc/self/mountinfo", V2_MOUNT),
            ("/sys/fs/cgroup/a/b/cpuset.cpus.effective", "\n"),
            ("/sys/fs/cgroup/a/cpuset.cpus.effective", "0-1,7\n"),
        ]);
        assert_eq!(cpuset(&read), Some("0-1,7".parse().unwrap()));
    }

    #[test]
    fn a_machine_without_groups_has_no_limits() {
        let read = files(&[]);
        assert_eq!(quota(&read), None);
        assert_eq!(cpuset(&read), None);
    }

    #[test]
    fn garbage_is_an_unknown_fact() {
        let read = files(&[
            ("/proc/self/cgroup", "nonsense\n0::relative\n"),
            ("/proc/self/mountinfo", "x - cgroup2\n 1 2 3 - cgroup2 a b\n- - - -\n"),
        ]);
        assert_eq!(quota(&read), None);
        for text in ["", "max", "1", "0 100000", "1 0", "-1 5", "a b"] {
            assert_eq!(parse_cpu_max(text), None, "{text:?}");
        }
    }
}
