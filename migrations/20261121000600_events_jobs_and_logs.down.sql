drop table public.audit_logs;
drop function kitloop.refuse_change();
drop table public.cron_runs;
drop table public.worker_heartbeats;
drop table public.jobs;
drop table public.notification_logs;
drop table public.idempotency_keys;
drop table public.stripe_webhook_events;
