drop function kitloop.beat(text);
drop function kitloop.finish_email(uuid, bigint, text, text);
drop function kitloop.retry_job(uuid, bigint, text, boolean, boolean);
drop function kitloop.finish_job(uuid, bigint, jsonb);
drop function kitloop.claim_job(text, integer);
drop function kitloop.give_up_job(public.jobs);
drop function kitloop.fail_job(uuid, text);
drop function kitloop.job_still_holds(public.jobs);
