use std::os::unix::fs::PermissionsExt;

use tempfile::TempDir;

use super::*;

const MANY: u64 = 1 << 30;

fn record(number: u32) -> Record {
    let body = format!("{{\"number\":{number}}}").into();
    Record { submissions: 1, spooled_at_ms: i64::from(number), body }
}

/// One that fills a segment by itself.
fn large(number: u32) -> Record {
    Record { body: vec![b'x'; 1_000_000].into(), ..record(number) }
}

fn open(dir: &TempDir) -> Files {
    Files::open(dir.path(), MANY).unwrap()
}

/// Everything in order, as it is drained, and whether anything of it was damaged.
fn drained(files: &mut Files) -> (Vec<i64>, bool) {
    let (mut all, mut any_damaged) = (Vec::new(), false);
    while let Some(Front { number, records, is_damaged }) = files.front().unwrap() {
        all.extend(records.iter().map(|record| record.spooled_at_ms));
        any_damaged |= is_damaged;
        files.finish(number, is_damaged);
    }
    (all, any_damaged)
}

/// The files in the folder with this extension, in order.
fn named(dir: &TempDir, extension: &str) -> Vec<PathBuf> {
    let paths = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<_> =
        paths.filter(|it| it.extension().is_some_and(|it| it == extension)).collect();
    paths.sort();
    paths
}

#[test]
fn what_is_appended_is_found_again_in_order_and_gone_once_it_is_finished() {
    let dir = tempfile::tempdir().unwrap();
    let mut files = open(&dir);
    files.append(&[record(1), record(2)]).unwrap();
    files.append(&[large(3), large(4)]).unwrap();
    files.append(&[record(5)]).unwrap();
    assert_eq!(named(&dir, SEGMENT).len(), 2, "a large one is closed");
    let Figures { segments, submissions, oldest_at_ms, set_aside, .. } = files.figures();
    assert_eq!((segments, submissions, oldest_at_ms, set_aside), (2, 5, Some(1), 0));
    let figures = files.figures();
    drop(files);
    let mut files = open(&dir);
    assert_eq!(files.figures(), figures);
    files.append(&[record(6)]).unwrap();
    assert_eq!(drained(&mut files), (vec![1, 2, 3, 4, 5, 6], false));
    assert_eq!(files.figures(), Figures::default());
    assert!(named(&dir, SEGMENT).is_empty());
    drop(files);
    assert_eq!(open(&dir).figures(), Figures::default());
}

#[test]
fn what_was_read_and_not_finished_is_found_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut files = open(&dir);
    files.append(&[record(1)]).unwrap();
    assert_eq!(files.front().unwrap().unwrap().records.len(), 1);
    // Into another one: the first is being drained.
    files.append(&[record(2)]).unwrap();
    assert_eq!(named(&dir, SEGMENT).len(), 2);
    drop(files);
    assert_eq!(drained(&mut open(&dir)), (vec![1, 2], false));
}

#[test]
fn a_torn_tail_is_dropped_and_is_no_damage_ever_after() {
    let dir = tempfile::tempdir().unwrap();
    let mut files = open(&dir);
    files.append(&[record(1), record(2)]).unwrap();
    drop(files);
    let newest = named(&dir, SEGMENT).pop().unwrap();
    let length = fs::metadata(&newest).unwrap().len();
    private().open(&newest).unwrap().set_len(length - 3).unwrap();
    for _ in 0..2 {
        let mut files = open(&dir);
        let Figures { submissions, bytes, set_aside, .. } = files.figures();
        assert_eq!((submissions, set_aside), (1, 0));
        assert_eq!(bytes, OPENING_BYTES as u64 + record(1).bytes());
        // From now on another one is the newest.
        files.append(&[]).unwrap();
    }
    let mut files = open(&dir);
    files.append(&[record(3)]).unwrap();
    assert_eq!(drained(&mut files), (vec![1, 3], false));
    assert!(named(&dir, DAMAGED).is_empty());
}

#[test]
fn damage_costs_no_other_record_and_the_segment_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let mut files = open(&dir);
    files.append(&[record(1), record(2), record(3)]).unwrap();
    drop(files);
    let segment = named(&dir, SEGMENT).pop().unwrap();
    let mut bytes = fs::read(&segment).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&segment, &bytes).unwrap();
    for _ in 0..2 {
        assert_eq!(open(&dir).figures().submissions, 2);
    }
    let mut files = open(&dir);
    assert_eq!(drained(&mut files), (vec![1, 3], true));
    assert_eq!(files.figures(), Figures { set_aside: 1, ..Figures::default() });
    let kept = named(&dir, DAMAGED);
    assert_eq!(kept.len(), 1);
    assert_eq!(fs::read(&kept[0]).unwrap(), bytes);
    drop(files);
    // Told of at each start, and never in the way: not even by its name.
    let mut files = open(&dir);
    assert_eq!(files.figures(), Figures { set_aside: 1, ..Figures::default() });
    files.append(&[record(4)]).unwrap();
    assert!(named(&dir, SEGMENT)[0].file_stem() > kept[0].file_stem());
}

/// Two segments, the first of which is closed, and its path.
fn two_segments(dir: &TempDir) -> (Files, PathBuf) {
    let mut files = open(dir);
    files.append(&[record(1)]).unwrap();
    files.front().unwrap();
    files.append(&[record(2)]).unwrap();
    let first = named(dir, SEGMENT).remove(0);
    (files, first)
}

#[test]
fn a_segment_that_somebody_deleted_holds_up_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let (mut files, first) = two_segments(&dir);
    fs::remove_file(first).unwrap();
    assert!(files.front().is_err());
    files.set_front_aside();
    assert_eq!(files.figures().set_aside, 1, "it is told of");
    assert_eq!(drained(&mut files), (vec![2], false));
}

#[test]
fn a_segment_that_can_neither_be_read_nor_set_aside_holds_up_no_other_on_a_disk_that_works() {
    let dir = tempfile::tempdir().unwrap();
    let (mut files, first) = two_segments(&dir);
    // A folder cannot be read as a file, nor put in the place of one that is not empty.
    fs::remove_file(&first).unwrap();
    fs::create_dir(&first).unwrap();
    fs::create_dir_all(dir.path().join(file_name(1, DAMAGED)).join("full")).unwrap();
    let probe = dir.path().join("probe");
    fs::create_dir(&probe).unwrap();
    files.set_front_aside();
    assert!(files.front().is_err(), "on a disk that takes nothing it stays");
    fs::remove_dir(&probe).unwrap();
    files.set_front_aside();
    assert_eq!((files.figures().set_aside, first.exists()), (1, true));
    assert_eq!(drained(&mut files), (vec![2], false));
}

#[test]
fn what_is_no_segment_at_all_is_set_aside_at_once() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(&dir));
    fs::write(dir.path().join(file_name(7, SEGMENT)), vec![b'?'; 5_000]).unwrap();
    fs::write(dir.path().join("notes.txt"), "mine").unwrap();
    let files = open(&dir);
    assert_eq!(files.figures(), Figures { set_aside: 1, ..Figures::default() });
    assert_eq!(named(&dir, DAMAGED), [dir.path().join(file_name(7, DAMAGED))]);
    assert!(dir.path().join("notes.txt").exists());
}

#[test]
fn a_segment_of_a_later_release_is_left_for_it() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(&dir));
    let later = dir.path().join(file_name(3, SEGMENT));
    let text = [b"SUPSPOOL".as_slice(), &9_u32.to_le_bytes(), b"something"].concat();
    fs::write(&later, &text).unwrap();
    let mut files = open(&dir);
    files.append(&[record(1)]).unwrap();
    assert_eq!(files.figures().set_aside, 1);
    assert_eq!(drained(&mut files), (vec![1], false));
    assert_eq!(fs::read(&later).unwrap(), text);
}

#[test]
fn no_more_lies_there_than_may() {
    let dir = tempfile::tempdir().unwrap();
    let mut files = Files::open(dir.path(), 2_500_000).unwrap();
    files.append(&[large(1)]).unwrap();
    files.append(&[large(2)]).unwrap();
    assert_eq!(files.append(&[large(3)]), Err(NotSpooled::Full));
    files.append(&[record(4)]).unwrap();
    let front = files.front().unwrap().unwrap();
    files.finish(front.number, false);
    files.append(&[large(5)]).unwrap();
    assert_eq!(drained(&mut files), (vec![4, 5], false));
}

#[test]
fn a_write_that_fails_leaves_nothing_that_counts() {
    let dir = tempfile::tempdir().unwrap();
    let mut files = open(&dir);
    files.append(&[record(1)]).unwrap();
    // A file that takes nothing, in the place of the one that is open.
    files.open = Some(File::open(named(&dir, SEGMENT).pop().unwrap()).unwrap());
    let before = files.figures();
    assert_eq!(files.append(&[record(2)]), Err(NotSpooled::Failed));
    assert_eq!(files.figures(), before);
    files.append(&[record(3)]).unwrap();
    assert_eq!(named(&dir, SEGMENT).len(), 2, "the one that failed is not written to again");
    assert_eq!(drained(&mut files), (vec![1, 3], false));
}

#[test]
fn a_folder_is_of_one_process_and_of_nobody_elses_eyes() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a/spool");
    let mut first = Files::open(&path, MANY).unwrap();
    first.append(&[record(1)]).unwrap();
    let error = Files::open(&path, MANY).err().unwrap();
    assert!(matches!(error, SpoolError::InUse { .. }), "{error}");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&path), mode(&first.segment(1))), (0o700, 0o600));
    drop(first);
    assert_eq!(Files::open(&path, MANY).unwrap().figures().submissions, 1);
    let file = tempfile::NamedTempFile::new().unwrap();
    let error = Files::open(file.path(), MANY).err().unwrap();
    assert!(error.to_string().starts_with("cannot use the spool folder "), "{error}");
    assert!(!error.to_string().contains('\n') && matches!(error, SpoolError::Unusable { .. }));
}
