use super::*;

/// A pool of 4 cores and 100 bytes whose containers are numbers.
fn pool() -> Pool<u32> {
    Pool::new(Resources {
        millicores: 4000,
        memory_bytes: 100,
    })
}

fn ask(service: &str, memory_bytes: u64) -> Ask {
    let key = Key {
        service: service.into(),
        revision: 1,
        digest: String::new(),
    };
    Ask {
        key,
        resources: Resources {
            millicores: 100,
            memory_bytes,
        },
        max_scale: 0,
    }
}

type Answer = oneshot::Receiver<Grant<u32>>;

/// Asks, and hands out what was granted; the numbers that were evicted come back.
fn put(pool: &mut Pool<u32>, ask: Ask) -> (Answer, Vec<u32>) {
    let (answer, moves) = pool.ask(ask);
    (answer, carry_out(moves))
}

fn carry_out(moves: Moves<u32>) -> Vec<u32> {
    for (reply, grant) in moves.granted {
        reply.send(grant).unwrap();
    }
    moves.evicted
}

fn granted(answer: &mut Answer) -> Option<(SlotId, Option<u32>)> {
    answer
        .try_recv()
        .ok()
        .map(|grant| (grant.slot, grant.container))
}

/// A container of the service that is idle.
fn idle(pool: &mut Pool<u32>, ask: &Ask, number: u32) -> SlotId {
    let slot = pool.spare(ask).unwrap();
    carry_out(pool.rest(slot, number));
    slot
}

fn want(pool: &mut Pool<u32>, wants: &[(&str, u64, u32)]) {
    let want = |(name, revision, warm): &(&str, u64, u32)| {
        (
            (*name).to_owned(),
            Want {
                revision: *revision,
                warm: *warm,
            },
        )
    };
    pool.want(wants.iter().map(want).collect());
}

#[test]
fn an_idle_container_is_given_out_before_room_is_made() {
    let mut pool = pool();
    let slot = idle(&mut pool, &ask("a", 10), 7);
    let (mut answer, evicted) = put(&mut pool, ask("a", 10));
    assert_eq!(
        (granted(&mut answer), evicted),
        (Some((slot, Some(7))), vec![])
    );
}

#[test]
fn a_claim_that_does_not_fit_waits_until_room_is_free() {
    let mut pool = pool();
    let (mut first, _) = put(&mut pool, ask("a", 60));
    let (slot, _) = granted(&mut first).unwrap();
    let (mut second, _) = put(&mut pool, ask("b", 60));
    assert!(granted(&mut second).is_none());
    carry_out(pool.free(slot));
    assert!(granted(&mut second).is_some());
}

#[test]
fn waiting_for_room_is_in_order_but_idle_containers_are_not_held_back() {
    let mut pool = pool();
    let (mut first, _) = put(&mut pool, ask("a", 60));
    let (slot, _) = granted(&mut first).unwrap();
    let (mut other, _) = put(&mut pool, ask("c", 10));
    let (small, _) = granted(&mut other).unwrap();
    let (mut large, _) = put(&mut pool, ask("b", 60));
    let (mut late, _) = put(&mut pool, ask("d", 10));
    let (mut again, _) = put(&mut pool, ask("c", 10));
    assert!(
        granted(&mut late).is_none(),
        "the late one would fit, but the large one came first"
    );
    carry_out(pool.rest(small, 3));
    assert_eq!(granted(&mut again), Some((small, Some(3))));
    carry_out(pool.free(slot));
    assert!(granted(&mut large).is_some() && granted(&mut late).is_some());
}

#[test]
fn the_longest_idle_goes_first_and_no_more_than_it_takes() {
    let mut pool = pool();
    for (service, number) in [("a", 1), ("b", 2), ("c", 3)] {
        idle(&mut pool, &ask(service, 30), number);
    }
    let (mut answer, evicted) = put(&mut pool, ask("d", 40));
    assert!(granted(&mut answer).is_some());
    assert_eq!(evicted, [1]);
}

#[test]
fn what_shall_be_kept_warm_goes_last() {
    let mut pool = pool();
    want(&mut pool, &[("a", 1, 1), ("b", 1, 0), ("d", 1, 0)]);
    for (service, number) in [("a", 1), ("a", 2), ("b", 3)] {
        idle(&mut pool, &ask(service, 30), number);
    }
    let (_one, evicted) = put(&mut pool, ask("d", 40));
    assert_eq!(evicted, [1], "one of the two of a is enough");
    let (_two, evicted) = put(&mut pool, ask("d", 30));
    assert_eq!(evicted, [3]);
    let (_three, evicted) = put(&mut pool, ask("d", 30));
    assert_eq!(evicted, [2]);
}

#[test]
fn nothing_is_evicted_in_vain() {
    let mut pool = pool();
    let (_busy, _) = put(&mut pool, ask("a", 80));
    idle(&mut pool, &ask("b", 10), 1);
    let (mut answer, evicted) = put(&mut pool, ask("c", 50));
    assert!(granted(&mut answer).is_none() && evicted.is_empty());
}

#[test]
fn a_service_does_not_grow_beyond_its_bound_nor_hold_up_others() {
    let mut pool = pool();
    let bounded = Ask {
        max_scale: 1,
        ..ask("a", 10)
    };
    let (mut first, _) = put(&mut pool, bounded.clone());
    let (slot, _) = granted(&mut first).unwrap();
    let (mut second, _) = put(&mut pool, bounded);
    let (mut other, _) = put(&mut pool, ask("b", 10));
    assert!(granted(&mut second).is_none() && granted(&mut other).is_some());
    carry_out(pool.rest(slot, 1));
    assert_eq!(granted(&mut second), Some((slot, Some(1))));
}

#[test]
fn an_idle_container_of_an_old_revision_makes_way_for_the_new_one() {
    let mut pool = pool();
    let old = Ask {
        max_scale: 1,
        ..ask("a", 10)
    };
    idle(&mut pool, &old, 1);
    let mut new = old;
    new.key.revision = 2;
    let (mut answer, evicted) = put(&mut pool, new);
    assert_eq!(
        (granted(&mut answer).map(|grant| grant.1), evicted),
        (Some(None), vec![1])
    );
}

#[test]
fn a_claim_that_was_given_up_is_passed_over() {
    let mut pool = pool();
    let (mut first, _) = put(&mut pool, ask("a", 100));
    let (slot, _) = granted(&mut first).unwrap();
    drop(put(&mut pool, ask("b", 100)));
    let (mut third, _) = put(&mut pool, ask("c", 100));
    carry_out(pool.free(slot));
    assert!(granted(&mut third).is_some());
}

#[test]
fn spare_room_is_room_that_nobody_waits_for() {
    let mut pool = pool();
    assert!(pool.spare(&ask("a", 60)).is_some());
    assert!(pool.spare(&ask("a", 60)).is_none());
    let (_waiting, _) = put(&mut pool, ask("b", 60));
    assert!(pool.spare(&ask("a", 10)).is_none());
}

#[test]
fn services_that_are_not_wanted_and_old_revisions_are_not_current() {
    let mut pool = pool();
    let key = ask("a", 1).key;
    assert!(pool.is_current(&key));
    want(&mut pool, &[("a", 1, 0)]);
    assert!(pool.is_current(&key));
    want(&mut pool, &[("a", 2, 0)]);
    assert!(!pool.is_current(&key));
    want(&mut pool, &[]);
    assert!(!pool.is_current(&key));
}

#[test]
fn as_many_idle_containers_are_kept_as_are_wanted() {
    let mut pool = pool();
    want(&mut pool, &[("a", 1, 1)]);
    idle(&mut pool, &ask("a", 10), 1);
    idle(&mut pool, &ask("a", 10), 2);
    let moves = pool.take_idle(|pool, idle| !pool.is_kept(idle));
    assert_eq!(carry_out(moves), [1]);
    assert_eq!(pool.warm_counts()["a"], 1);
}
