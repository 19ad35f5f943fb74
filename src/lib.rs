//! Holdfast keeps a Kubernetes cluster equal to Git: a webhook refuses manual edits when they are made, a reconciler undoes
//! what slipped past. This page is its architecture; what it is for and how to use it stands in `README.md`.
//!
//! # Bird's eye
//!
//! ```text
//! git bytes ─► manifests ─► declarations ─► Snapshot ─┬─► webhook:    (edit, now)  ─► judge ─► verdict ─► AdmissionReview
//!                                                     └─► reconciler: live object  ─► drift ─► heal    ─► patch
//!                                                                                  both ─► records, metrics, Events
//! ```
//!
//! One question is asked in two places. A [*declaration*](core::declaration) is a manifest as the API server reads it: leaf
//! paths with values, and where in Git each came from. [`compare`](core::compare::compare) finds the *deviations* of an
//! object from it, exclusions are subtracted from that result, and what remains is [*drift*](core::drift). The reconciler
//! [heals](core::heal) the drift of what it sees; the webhook [judges](core::judge::judge) the drift an edit introduces.
//!
//! There is one [`Snapshot`](core::snapshot::Snapshot) of everything declared, immutable, behind a
//! [watch channel](reconcile::Desired): the reconciler publishes it, the webhook reads it, and neither waits for the other.
//!
//! # Where things live
//!
//! | module | what is decided or translated there |
//! |---|---|
//! | [`core`] | every decision, as pure functions of values: comparing, excluding, judging, healing, break-glass, windows, fights, masking |
//! | [`api`] | `GitSync` and `DriftPolicy`, as typed and as meant; one reader for admission and for running |
//! | [`git`] | fetching a commit, reading YAML and JSON with their lines, marking what is managed |
//! | [`cluster`] | the API server: kinds, objects, watches, rights, Events |
//! | [`reconcile`] | one keeper for each GitSync: declare, apply, watch, heal, prune, status |
//! | [`webhook`] | reviews in and out, the certificate, the webhook configurations |
//! | [`receiver`] | push webhooks of Git hosts: whose they are, and which syncs they wake |
//! | [`inspect`] | `holdfast diff` and `explain`: the same question, asked by a person |
//! | [`evidence`] | records that are never lost, and metrics |
//! | [`app`] | the composition root: the only module that sees all edges |
//! | [`cli`], [`config`] | what was typed, and what it means |
//! | [`admin`], [`shutdown`], [`telemetry`], [`certs`], [`deploy`] | probes, stopping in two stages, logs, certificates, what a cluster needs |
//!
//! Begin with [`core::judge`]: it is the product in one file. A review then comes in through `webhook::review`, a commit
//! through `reconcile::pass`, an object that moved through `reconcile::watchful`.
//!
//! # Invariants, and the test that holds each
//!
//! - An edit of a guarded user is denied exactly when the reconciler would undo some of it:
//!   `agree::denied_exactly_when_it_would_be_undone`.
//! - Drift is what a forced apply of the manifest would change, on a real API server, for every kind and thousands of edits; where
//!   it is not, that is a named exception with an example: the tests of `oracle`.
//! - Healing ends: after one heal there is no drift, and in sync means that nothing is written: `agree::healing_ends`,
//!   `agree::in_sync_means_nothing_to_write`.
//! - A heal touches nothing excluded, and excluding more never adds drift: `agree::a_heal_touches_nothing_excluded`,
//!   `agree::excluding_more_never_adds_drift`; on a real API server `cluster::ignored_replicas_we_alone_own_stay`.
//! - What the webhook does not parse does not change its verdict, and is checked all the same:
//!   `agree::parsing_less_gives_the_same_judgement`, `text::it_reads_what_serde_reads`.
//! - Layers point inward, and the core names no clock, file, network or runtime: `tidy::layers_point_inward`,
//!   `tidy::the_core_is_pure`.
//! - What is not a decision is an error status, so that `failurePolicy` decides, never an allow in silence:
//!   `webhook::what_is_no_decision_is_an_error_status`, `webhook::edits_of_what_could_not_be_read_get_no_decision`,
//!   `webhook::mutilated_reviews_are_answered_or_refused`.
//! - Nobody judges by half a snapshot: `publish::nothing_is_published_before_every_known_sync_was_read`,
//!   `cluster::whoever_is_ready_knows_what_to_guard`. And nobody waits long for what cannot be read:
//!   `cluster::who_cannot_be_read_keeps_nobody_waiting_for_long`.
//! - A dry run gets the same verdict and leaves no record: `webhook::a_dry_run_gets_the_same_verdict_and_leaves_no_record`.
//! - Who only observes stops nobody, undoes nothing, and believes nothing: `webhook::observing_refuses_nobody_and_records_who_would_have_been`,
//!   `webhook::what_would_be_believed_later_is_refused_while_observing`, `cluster::who_only_observes_stops_nobody_and_undoes_nothing`.
//! - Nobody grants themselves an emergency: stamps are Holdfast's, the right is RBAC's:
//!   `webhook::typed_stamps_are_refused_where_they_would_be_written`, `cluster::it_opens_for_oncall_alone_and_ends_when_taken_back`.
//! - An object is adopted once, and never made anew: `cluster::a_deployment_is_adopted_without_a_rollout`,
//!   `cluster::a_tool_that_is_still_at_work_is_adopted_from_once`.
//! - Of two syncs that declare one object the first keeps it, and hands it over without deleting it:
//!   `cluster::two_syncs_do_not_fight_over_one_object`, `cluster::who_lets_go_hands_over_without_deleting`. Where several replicas write,
//!   all come to the same end: `claims::what_nobody_has_written_yet_goes_by_name_in_every_replica`,
//!   `cluster::syncs_of_different_shards_do_not_fight_over_one_object`.
//! - A kind that is away keeps nothing else back, and nothing of it is deleted meanwhile: `cluster::one_kind_that_is_away_stops_nothing_else`,
//!   `cluster::a_start_while_a_kind_is_away_deletes_nothing_of_it`, `cluster::a_kind_that_cannot_be_converted_stops_nothing_else`.
//! - A synced revision is one the cluster equals, and what it removes is gone: `cluster::a_break_glass_that_keeps_a_commit_out_is_told`,
//!   `cluster::what_left_git_goes_in_reverse_and_last_of_all`.
//! - What one commit moves from one sync to another is not deleted in between, and nobody keeps others from deleting for ever:
//!   `cluster::what_moves_to_another_sync_is_not_deleted_in_between`, `moves::who_is_broken_is_waited_for_a_little_and_who_is_busy_longer`.
//! - What is withheld from pruning is guarded and healed, also after a start:
//!   `cluster::what_is_withheld_from_pruning_is_guarded_and_healed_after_a_start`.
//! - What is no drift is left alone, and what an edit does to our entry by itself is told from what a hand does:
//!   `cluster::what_is_no_drift_is_left_alone`, `ownership::nothing_else_takes_gives_or_makes`. (Every way to change an object, by
//!   everybody, is a row of `tests/cluster/verbs/table.rs`.)
//! - Whoever writes under our account is noticed: `cluster::whoever_writes_in_our_guise_is_noticed_and_healed`.
//! - Nobody makes us guard less without a right and a record: `loosening::a_sync_is_loosened_one_way_and_tightened_the_other`,
//!   `cluster::a_loosening_is_recorded`.
//! - Nor by deleting what would take along what guards; and nobody needs us to be rid of us:
//!   `cluster::a_namespace_with_gitsyncs_takes_a_right`, `cluster::what_ends_every_guard_takes_a_right`,
//!   `cluster::dead_replicas_leave_what_is_vital_alone`.
//! - An emergency on what another tool keeps ends as loudly as any, whoever starts meanwhile:
//!   `cluster::people_are_reminded_once_of_what_is_guarded_and_told_its_end`,
//!   `cluster::an_emergency_on_what_flux_keeps_outlives_a_restart`.
//! - What another tool keeps is nobody else's to edit, and the tool is never refused: `cluster::flux_keeps_what_it_applies`,
//!   `cluster::argo_cd_keeps_what_it_applies_as_a_client`; nor is what keeps the cluster alive ever asked about:
//!   `cluster::what_is_vital_is_no_guards_business`.
//! - Neither an eviction, nor the deletion of its namespace, nor another version of its kind is a way around a guard:
//!   `cluster::an_eviction_deletes_what_flux_keeps`, `cluster::a_namespace_with_what_flux_keeps_stays`,
//!   `cluster::edits_through_another_version_are_judged`.
//! - What would take along what Git declares stays, too: `webhook::a_namespace_that_holds_managed_objects_cannot_be_deleted`,
//!   `odd::the_definition_of_what_git_declares_stays`.
//! - However many teams there are, metrics stay few, and no verdict hangs on a team:
//!   `teams::however_many_teams_there_are_the_series_are_few_and_end_with_their_sync`.
//! - Pruning takes a complete reading, our tracking-id, and at most half: `plan::a_copy_is_not_tracked`,
//!   `plan::one_commit_deletes_at_most_half_and_never_everything`, `cluster::a_broken_file_is_named_and_the_rest_goes_on`,
//!   `cluster::a_start_without_git_deletes_nothing`.
//! - What a window closes happens once when it opens, and until then the synced commit holds, all of it, also after a restart:
//!   `cluster::what_a_window_closes_happens_when_it_ends`, `cluster::a_restart_in_a_closed_window_holds_to_the_commit_before`.
//!   When that is, every minute agrees on, also on the days clocks jump: `window::every_minute_is_as_the_walk_says`. Asking costs little
//!   even of windows that never open: `window::windows_that_together_never_open_are_cheap_to_ask`.
//! - A commit that somebody rolled back to is kept as any commit is, newer ones wait, and Git wins again at the end, also after a
//!   restart and on every replica: `cluster::an_older_commit_is_pinned_and_kept_while_newer_ones_arrive`,
//!   `cluster::the_end_brings_the_newest_commit`, `cluster::a_restart_holds_to_the_commit_that_is_pinned`,
//!   `cluster::all_replicas_judge_by_the_commit_that_is_pinned`.
//! - Nobody rolls back to what was never part of what is followed, though a server hands it out:
//!   `lineage::what_was_never_part_of_what_is_followed_is_refused`, `cluster::what_nobody_reviewed_is_not_deployed`.
//! - A pause takes no commit, and none undoes it: `cluster::a_pause_of_what_git_declares_takes_no_commit_and_is_undone_by_none`.
//! - A fight costs ever less, is told once, and no heal is dropped in it: `fight::who_acts_all_the_time_is_given_way_to`,
//!   `cluster::a_fight_is_told_once_and_ends_with_the_rule_it_tells`.
//! - A wave is written when all that its commit wrote before is ready, each object once, and nothing else waits meanwhile:
//!   `waves::every_object_once_and_none_too_early`, `ready::each_kind_says_when_it_is_ready`,
//!   `cluster::a_wave_waits_until_the_one_before_is_ready_and_nobody_else_does`.
//! - A tenant's `GitSync` can do what its account may, and what it writes is known as ours:
//!   `cluster::a_tenant_can_do_what_its_account_may_and_nothing_else`.
//! - More than half is deleted only by who confirms that very commit, and the end of a `GitSync` does what it says:
//!   `plan::a_confirmation_is_of_one_commit`, `cluster::who_confirms_a_commit_lets_it_delete`, `cluster::an_end_that_deletes`.
//! - A steady state costs the API server nothing, and neither does a restart without drift: `cluster::a_quiet_cluster_is_asked_nothing`,
//!   `cluster::a_restart_without_drift_writes_nothing_and_asks_nothing`.
//! - The webhook never waits for whoever reads the records, and no record is lost, also not the last one of who is killed:
//!   `sink::a_stuck_reader_neither_blocks_the_caller_nor_costs_a_record`, `sink::a_record_is_written_before_its_maker_goes_on`,
//!   `cluster::all_are_killed_at_once_under_load`.
//! - A wrong clock makes no verdict wrong, and whoever hangs is waited for as long as was said:
//!   `clock::a_wrong_clock_is_put_right_and_a_right_one_left_alone`, `cluster::the_certificate_of_a_wrong_clock_is_good`,
//!   `cluster::who_hangs_is_waited_for_and_then_refused_for`.
//! - What is large, or never comes whole, keeps no review waiting: `aside::who_works_aside_leaves_the_only_thread_to_others`,
//!   `limits::a_large_review_keeps_nobody_waiting`,
//!   `limits::reviews_of_the_usual_size_do_not_wait_for_places_of_large_ones`.
//! - Whoever is killed in the middle of a sync leaves nothing behind that the next does not finish, deletes or writes nothing for
//!   nothing, and no write without a record: `faults::holdfast_is_killed_at_every_step`,
//!   `faults::holdfast_is_killed_in_the_middle_of_an_end`,
//!   `sink::a_write_whose_process_is_killed_is_told_by_the_next_and_by_the_same_id`. Nor is one whose answer is lost:
//!   `cluster::a_write_without_an_answer_is_told_as_what_it_is`.
//! - A repository's credentials reach its server and nobody else, no host is believed unproved, and rotating them takes no restart:
//!   `private::credentials_do_not_follow_a_redirect_to_another_server`, `private::what_is_refused_does_not_repeat_the_credentials`,
//!   `ssh::a_host_whose_key_has_changed_is_refused_loudly`, `cluster::a_rotated_secret_is_used_without_a_restart`.
//! - Whatever names a commit, it is believed only if somebody signed it who may, and no byte of it can be another:
//!   `signed::whatever_names_a_commit_it_must_be_signed`, `verify::no_byte_of_what_is_signed_can_be_another`,
//!   `cluster::an_unsigned_commit_is_refused_and_keys_come_and_go`, `cluster::a_restart_holds_to_the_last_commit_that_is_believed`.
//! - The proof of a GitHub App goes to GitHub and its token to the repository's host, and all who use the App share one:
//!   `app::the_proof_of_an_app_does_not_follow_a_redirect`, `app::an_app_logs_in_and_all_who_use_it_share_one_token`,
//!   `app::neither_key_nor_token_is_told_or_stored`.
//! - What one may read with a Secret another cannot ask for: `repository::what_was_read_with_a_secret_is_not_read_without`.
//! - No commit and no Git server can use us up, and none keeps others or the end waiting: `tree::a_bomb_of_folders_ends`,
//!   `tree::files_that_are_too_much_together_are_reported_and_not_read`, `http::packs_that_are_cut_short_or_damaged_are_not_believed`,
//!   `cluster::a_server_that_hangs_keeps_neither_others_nor_the_end_waiting`.
//! - Many syncs of one repository ask its server once: `share::a_hundred_who_ask_at_one_beat_ask_once`.
//! - A push webhook makes nobody do anything but look, and only for whoever knows the secret:
//!   `receiver::whoever_does_not_know_the_secret_learns_and_causes_nothing`, `receiver::a_flood_is_one_look_and_a_giant_is_not_read`.
//! - Secrets are masked before they leave the core: `mask::equal_secrets_look_equal_and_different_ones_differ`,
//!   `cluster::no_value_is_told_anywhere`.
//! - Leaving loses no request, and renewing the certificate loses no handshake: `webhook::leaving_under_load_loses_no_request`,
//!   `webhook::no_handshake_fails_across_rotations`, `rotation::no_client_ever_meets_a_stranger`.
//! - Whoever changes the webhook configurations is undone, and on record once: `cluster::every_change_is_undone_and_on_record_once`,
//!   `upkeep::a_quarrel_is_slow_and_ends`.
//! - Of several replicas one writes for a shard (there is one, usually), whatever their clocks say: `lease::never_two_leaders_at_once`,
//!   `cluster::a_follower_guards_and_writes_nothing`, `cluster::a_leader_that_stood_still_writes_nothing_afterwards`.
//! - Each `GitSync` is written by one replica at a time, also while replicas are rolled to another number of shards; and what is spread
//!   is spread evenly, and then rests: `member::never_two_who_write_the_same`, `member::all_are_held_evenly_in_the_end`,
//!   `shards::every_version_sorts_alike`, `cluster::each_sync_is_written_by_one_and_all_write`,
//!   `cluster::a_roll_to_another_number_of_shards_writes_nothing_twice`.
//! - A leader that goes is followed, and what slipped meanwhile is healed by one write: `cluster::whoever_leaves_hands_over_at_once`,
//!   `cluster::a_leader_is_killed`, `cluster::what_was_lost_in_between_is_found`.
//! - Restarting replicas one by one, or the API server, lets nothing pass: `cluster::a_rolling_restart_fails_no_edit`,
//!   `cluster::the_api_server_restarts_under_load`.
//! - Nobody but the API server can use a server up: `webhook::whoever_does_not_hurry_is_cut`, `webhook::idle_strangers_make_room`,
//!   `webhook::connections_beyond_the_limit_are_closed_at_once`, `webhook::the_largest_review_there_can_be_is_read`.
//! - With every replica dead and `failurePolicy: Fail` the cluster lives: `cluster::dead_replicas_leave_what_is_vital_alone`.
//! - What is committed under `deploy/` is what the program prints, and the README lists what there is:
//!   `deploy::committed_files_are_up_to_date`, `docs::metric_names`.
//!
//! # Absences
//!
//! - No schema in memory: the API server is asked what a manifest means, once for each change of it.
//! - No polling of the cluster: managed objects are watched by label.
//! - No live objects kept: a judgement needs one only while it is made. And no parsed manifest: it is kept as text, and each
//!   kind is listed once for all syncs that are new, as they all are after a start (`reconcile::census`).
//! - Nothing written on objects that changes with every commit; nothing mutated before it is compared.
//! - No identity by field manager at admission: clients choose it. Only afterwards, when nothing better is left.
//! - No wall clock of one machine compared with that of another to say who leads.
//! - No sharing of the reading among replicas: each knows all `GitSync`s, whatever it writes. `README.md` says what else is not there.

pub mod admin;
pub mod api;
pub mod app;
pub mod certs;
pub mod cli;
pub mod cluster;
pub mod config;
pub mod core;
pub mod deploy;
pub mod evidence;
pub mod git;
pub mod inspect;
pub mod receiver;
pub mod reconcile;
pub mod shutdown;
pub mod telemetry;
pub mod webhook;
