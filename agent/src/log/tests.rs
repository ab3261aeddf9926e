use super::*;

fn second(number: i64) -> Timestamp {
    Timestamp::new(1_767_225_600 + number, 123_456_789).unwrap()
}

fn texts(log: &str) -> Vec<&str> {
    log.lines()
        .map(|line| line.split_once(' ').unwrap().1)
        .collect()
}

#[test]
fn each_line_has_the_time_it_began_at_with_nanoseconds() {
    let mut log = RunLog::new(4096, "");
    log.push(false, b"one\ntw", second(0));
    log.push(false, b"o\n\n", second(1));
    let expected = "2026-01-01T00:00:00.123456789Z one\n\
                    2026-01-01T00:00:00.123456789Z two\n\
                    2026-01-01T00:00:01.123456789Z \n";
    assert_eq!(log.finish(0, second(2)), expected);
    let whole = Timestamp::from_second(0).unwrap();
    let mut log = RunLog::new(4096, "");
    log.push(false, b"x\n", whole);
    assert_eq!(log.finish(0, whole), "1970-01-01T00:00:00.000000000Z x\n");
}

#[test]
fn a_last_line_without_end_is_kept_and_the_streams_do_not_mix_within_a_line() {
    let mut log = RunLog::new(4096, "");
    log.push(false, b"out ", second(0));
    log.push(true, b"err\n", second(1));
    log.push(false, b"put", second(2));
    assert_eq!(texts(&log.finish(0, second(3))), ["err", "out put"]);
}

#[test]
fn what_is_no_utf8_is_replaced_and_characters_in_two_pieces_are_not() {
    let mut log = RunLog::new(4096, "");
    log.push(false, b"\xff\xfe ok ", second(0));
    let euro = "€".as_bytes();
    log.push(false, &euro[..1], second(0));
    log.push(false, &euro[1..], second(0));
    assert_eq!(texts(&log.finish(0, second(1))), ["\u{fffd}\u{fffd} ok €"]);
}

#[test]
fn a_huge_log_keeps_its_head_and_its_tail_and_says_how_much_is_missing() {
    let limit = 64 * 1024;
    let mut log = RunLog::new(limit, "");
    let mut written = 0;
    for number in 0..100_000 {
        let line = format!("line {number}\n");
        written += line.len() as u64;
        log.push(false, line.as_bytes(), second(number / 1000));
    }
    let text = log.finish(0, second(200));
    assert!(text.len() <= limit + 256, "{} bytes", text.len());
    let lines = texts(&text);
    assert_eq!((lines[0], *lines.last().unwrap()), ("line 0", "line 99999"));
    let (gap, words) = lines
        .iter()
        .enumerate()
        .find(|(_, line)| line.starts_with(OURS))
        .unwrap();
    let dropped: u64 = words[OURS.len()..]
        .split(' ')
        .next()
        .unwrap()
        .parse()
        .unwrap();
    let kept: u64 = lines
        .iter()
        .enumerate()
        .filter(|(at, _)| *at != gap)
        .map(|(_, line)| line.len() as u64 + 1)
        .sum();
    assert_eq!(kept + dropped, written);
    assert!(
        text.lines().map(|line| &line[..30]).is_sorted(),
        "the gap has a time between its neighbours"
    );
}

#[test]
fn a_line_without_end_is_broken_between_characters_and_memory_stays_bounded() {
    let mut log = RunLog::new(64 * 1024, "");
    let euros = "€".repeat(1000);
    for _ in 0..1000 {
        log.push(false, euros.as_bytes(), second(0));
        assert!(log.partial[0].bytes.len() <= MAX_LINE && log.tail_bytes <= 16 * 1024);
    }
    let text = log.finish(0, second(1));
    assert!(text.len() <= 64 * 1024 + 256);
    assert!(!text.contains('\u{fffd}'), "no character was cut");
}

#[test]
fn bytes_dropped_by_the_supervisor_are_told_too() {
    let mut log = RunLog::new(4096, "");
    log.push(false, b"short\n", second(0));
    let text = log.finish(42, second(1));
    assert!(
        text.contains("spillway: 42 bytes of output are left out here"),
        "{text}"
    );
}

#[test]
fn chatter_of_ours_follows_the_log_level_and_errors_do_not() {
    check("", true);
    check("INFO", true);
    check("DEBUG", true);
    check("NOTSET", true);
    check("WARNING", false);
    check("CRITICAL", false);

    #[track_caller]
    fn check(level: &str, chatter: bool) {
        let mut log = RunLog::new(4096, level);
        log.note(Level::Info, "pulling", second(0));
        log.note(Level::Error, "broken", second(0));
        let text = log.finish(0, second(1));
        assert_eq!(text.contains("spillway: pulling"), chatter, "for {level:?}");
        assert!(text.contains("spillway: broken"));
    }
}

#[test]
fn the_live_log_is_a_beginning_of_the_final_one() {
    let mut log = RunLog::new(4096, "");
    log.push(false, b"one\ntwo", second(0));
    let first = log.live(0);
    assert_eq!(texts(std::str::from_utf8(&first).unwrap()), ["one"]);
    log.push(false, b"\nthree\n", second(1));
    let second_piece = log.live(first.len());
    let shown = [first.as_ref(), second_piece.as_ref()].concat();
    assert!(log.live(shown.len()).is_empty() && log.live(usize::MAX).is_empty());
    assert_eq!(log.finish(0, second(2)).as_bytes(), shown);
}
