//! Tests of the scheduler: examples of each rule, then all rules over random graphs.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::base::event::JobClass;
use crate::plan::JobKind;

fn job(id: u32, after: &[u32], resource: Resource, priority: u64) -> Job {
    Job {
        id: JobId(id),
        kind: JobKind::Sequences,
        after: after.iter().copied().map(JobId).collect(),
        class: JobClass::Copy,
        resource,
        stage: Stage::Data,
        exclusive: None,
        weight: priority,
        priority,
    }
}

fn scheduler(jobs: &[Job], limit: u32, policy: FailurePolicy) -> Scheduler {
    Scheduler::new(jobs, Limits::all(limit), policy)
}

fn handed_out(scheduler: &mut Scheduler) -> Vec<u32> {
    std::iter::from_fn(|| scheduler.next_job()).map(|id| id.0).collect()
}

#[test]
fn highest_priority_first_within_the_tokens() {
    let jobs: Vec<Job> =
        (0..).zip([5, 9, 9, 7]).map(|(id, p)| job(id, &[], Resource::Copy, p)).collect();
    let mut scheduler = scheduler(&jobs, 2, FailurePolicy::KeepGoing);
    assert_eq!(handed_out(&mut scheduler), [1, 2]);
    scheduler.finished(JobId(2));
    assert_eq!(handed_out(&mut scheduler), [3]);
}

#[test]
fn resources_do_not_take_each_others_tokens() {
    let jobs = [job(0, &[], Resource::Copy, 1), job(1, &[], Resource::Index, 1)];
    assert_eq!(handed_out(&mut scheduler(&jobs, 1, FailurePolicy::KeepGoing)), [0, 1]);
}

#[test]
fn failure_blocks_dependents_transitively_and_nobody_else() {
    let copy = |id, after: &[u32]| job(id, after, Resource::Copy, 1);
    let jobs = [copy(0, &[]), copy(1, &[]), copy(2, &[0]), copy(3, &[1, 2]), copy(4, &[1])];
    let mut scheduler = scheduler(&jobs, 8, FailurePolicy::KeepGoing);
    assert_eq!(handed_out(&mut scheduler), [0, 1]);
    scheduler.failed(JobId(0));
    assert_eq!(scheduler.state(JobId(2)), Some(JobState::Blocked(JobId(0))));
    assert_eq!(scheduler.state(JobId(3)), Some(JobState::Blocked(JobId(0))));
    scheduler.finished(JobId(1));
    assert_eq!(handed_out(&mut scheduler), [4]);
    scheduler.finished(JobId(4));
    assert!(scheduler.is_done());
    let counts = Counts { finished: 2, failed: 1, blocked: 2, ..Counts::default() };
    assert_eq!(scheduler.counts(), counts);
}

#[test]
fn policies_differ_in_what_a_failure_stops() {
    let jobs: Vec<Job> = (0..3).map(|id| job(id, &[], Resource::Copy, 1)).collect();
    for (policy, next, cancels) in [
        (FailurePolicy::FailFast, vec![], true),
        (FailurePolicy::FinishRunning, vec![], false),
        (FailurePolicy::KeepGoing, vec![2], false),
    ] {
        let mut scheduler = scheduler(&jobs, 2, policy);
        assert_eq!(handed_out(&mut scheduler), [0, 1]);
        scheduler.failed(JobId(0));
        assert_eq!(handed_out(&mut scheduler), next);
        assert_eq!(scheduler.cancels_running(), cancels);
        assert!(!scheduler.is_done());
    }
}

#[test]
fn exclusive_jobs_wait_for_each_other() {
    let exclusive =
        |id, value| Job { exclusive: value, ..job(id, &[], Resource::Index, 9 - u64::from(id)) };
    let jobs =
        [exclusive(0, Some(7)), exclusive(1, Some(7)), exclusive(2, Some(8)), exclusive(3, None)];
    let mut scheduler = scheduler(&jobs, 8, FailurePolicy::KeepGoing);
    assert_eq!(handed_out(&mut scheduler), [0, 2, 3]);
    scheduler.finished(JobId(2));
    assert_eq!(handed_out(&mut scheduler), [0; 0]);
    assert!(!scheduler.is_done());
    scheduler.failed(JobId(0));
    assert_eq!(handed_out(&mut scheduler), [1]);
}

#[test]
fn later_stage_waits_until_it_is_opened() {
    let after = Job { stage: Stage::AfterPostData, ..job(1, &[0], Resource::Index, 1) };
    let alone = Job { stage: Stage::AfterPostData, ..job(2, &[], Resource::Index, 1) };
    let jobs = [job(0, &[], Resource::Copy, 1), after, alone];
    let mut scheduler = scheduler(&jobs, 8, FailurePolicy::KeepGoing);
    assert_eq!(handed_out(&mut scheduler), [0]);
    scheduler.finished(JobId(0));
    assert!(scheduler.is_done());
    scheduler.advance(Stage::AfterPostData);
    assert!(!scheduler.is_done());
    assert_eq!(handed_out(&mut scheduler), [1, 2]);
}

// trap X-16
#[test]
fn lowered_limit_holds_back_and_a_returned_job_is_tried_again() {
    let jobs: Vec<Job> = (0..4).map(|id| job(id, &[], Resource::Copy, 1)).collect();
    let mut scheduler = scheduler(&jobs, 3, FailurePolicy::KeepGoing);
    assert_eq!(handed_out(&mut scheduler), [0, 1, 2]);
    scheduler.set_limit(Resource::Copy, 0);
    assert_eq!(scheduler.limit(Resource::Copy), 1);
    scheduler.returned(JobId(2));
    scheduler.finished(JobId(0));
    assert_eq!(handed_out(&mut scheduler), [0; 0]);
    scheduler.finished(JobId(1));
    assert_eq!(handed_out(&mut scheduler), [2]);
}

#[test]
fn ends_reported_twice_count_once() {
    let jobs = [job(0, &[], Resource::Copy, 1), job(1, &[0], Resource::Copy, 1)];
    let mut scheduler = scheduler(&jobs, 1, FailurePolicy::KeepGoing);
    scheduler.finished(JobId(0));
    assert_eq!(scheduler.counts().finished, 0);
    assert_eq!(handed_out(&mut scheduler), [0]);
    scheduler.finished(JobId(0));
    scheduler.finished(JobId(0));
    scheduler.failed(JobId(0));
    assert_eq!((scheduler.counts().finished, scheduler.counts().failed), (1, 0));
}

/// One step of a dispatcher.
#[derive(Debug, Clone, Copy)]
enum Step {
    Next,
    Finish(usize),
    Fail(usize),
    Return(usize),
    Limit(usize, u32),
    Advance,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => Just(Step::Next),
        4 => any::<usize>().prop_map(Step::Finish),
        1 => any::<usize>().prop_map(Step::Fail),
        1 => any::<usize>().prop_map(Step::Return),
        1 => (any::<usize>(), 0_u32..4).prop_map(|(resource, limit)| Step::Limit(resource, limit)),
        1 => Just(Step::Advance),
    ]
}

fn graph() -> impl Strategy<Value = Vec<Job>> {
    let one = (
        prop::collection::vec(any::<u32>(), 0..4),
        0..Resource::ALL.len(),
        0_u64..5,
        prop::option::weighted(0.3, 0_u32..3),
        prop::bool::weighted(0.2),
    );
    prop::collection::vec(one, 0..40).prop_map(|jobs| {
        (0..)
            .zip(jobs)
            .map(|(id, (after, resource, priority, exclusive, late))| {
                let after: BTreeSet<u32> =
                    after.into_iter().filter(|_| id > 0).map(|from| from % id.max(1)).collect();
                let after: Vec<u32> = after.into_iter().collect();
                let mut job = job(id, &after, Resource::ALL[resource], priority);
                job.exclusive = exclusive;
                job.stage = if late { Stage::AfterPostData } else { Stage::Data };
                job
            })
            .collect()
    })
}

/// The scheduler under test with a plain model of what must hold.
struct Model {
    jobs: Vec<Job>,
    scheduler: Scheduler,
    running: Vec<JobId>,
    finished: BTreeSet<JobId>,
    limits: Limits,
    stage: Stage,
}

impl Model {
    fn take(&mut self) -> Option<JobId> {
        let id = self.scheduler.next_job()?;
        let job = &self.jobs[id.0 as usize];
        assert!(job.after.iter().all(|before| self.finished.contains(before)), "dependency");
        assert!(job.stage <= self.stage, "stage");
        let others = || self.running.iter().map(|id| &self.jobs[id.0 as usize]);
        assert!(!self.running.contains(&id) && !self.finished.contains(&id), "handed out twice");
        let same = others().filter(|other| other.resource == job.resource).count();
        assert!(same < self.limits.get(job.resource) as usize, "tokens");
        assert!(
            job.exclusive.is_none() || others().all(|other| other.exclusive != job.exclusive),
            "exclusive"
        );
        self.running.push(id);
        Some(id)
    }

    fn pick(&mut self, choice: usize) -> Option<JobId> {
        let count = self.running.len();
        (count > 0).then(|| self.running.swap_remove(choice % count))
    }

    fn apply(&mut self, step: Step) {
        match step {
            Step::Next => {
                self.take();
            }
            Step::Finish(choice) => {
                if let Some(id) = self.pick(choice) {
                    self.finished.insert(id);
                    self.scheduler.finished(id);
                }
            }
            Step::Fail(choice) => {
                if let Some(id) = self.pick(choice) {
                    self.scheduler.failed(id);
                }
            }
            Step::Return(choice) => {
                if let Some(id) = self.pick(choice) {
                    self.scheduler.returned(id);
                }
            }
            Step::Limit(resource, limit) => {
                let resource = Resource::ALL[resource % Resource::ALL.len()];
                self.limits.set(resource, limit);
                self.scheduler.set_limit(resource, limit);
            }
            Step::Advance => {
                self.stage = Stage::AfterPostData;
                self.scheduler.advance(self.stage);
            }
        }
    }
}

proptest! {
    #[test]
    fn any_run_keeps_the_rules_and_ends(
        jobs in graph(),
        limit in 1_u32..4,
        policy in prop::sample::select(vec![
            FailurePolicy::FailFast, FailurePolicy::FinishRunning, FailurePolicy::KeepGoing,
        ]),
        steps in prop::collection::vec(step(), 0..200),
    ) {
        let limits = Limits::all(limit);
        let scheduler = Scheduler::new(&jobs, limits, policy);
        let total = jobs.len();
        let mut model = Model {
            jobs, scheduler, running: vec![], finished: BTreeSet::new(), limits, stage: Stage::Data,
        };
        for step in steps {
            model.apply(step);
        }
        model.apply(Step::Advance);
        // Each round ends at least one job, so there are no more rounds than jobs.
        for _ in 0..=total {
            while model.take().is_some() {}
            model.apply(Step::Finish(0));
        }
        prop_assert!(model.running.is_empty());
        prop_assert!(model.scheduler.is_done());
        let counts = model.scheduler.counts();
        prop_assert_eq!(counts.running, 0);
        prop_assert_eq!(
            counts.finished + counts.failed + counts.blocked + counts.waiting + counts.ready, total
        );
        if policy == FailurePolicy::KeepGoing || counts.failed == 0 {
            prop_assert_eq!(counts.waiting + counts.ready, 0);
        }
        for (id, state) in model.scheduler.unfinished() {
            if let JobState::Blocked(by) = state {
                prop_assert_eq!(model.scheduler.state(by), Some(JobState::Failed));
                prop_assert!(by < id);
            }
        }
        prop_assert_eq!(model.scheduler.unfinished().count(), total - counts.finished);
    }
}
