drop function kitloop.finish_paid_job(uuid, bigint, jsonb);
drop function kitloop.get_job(uuid, uuid);
drop function kitloop.create_job(text, text, text, uuid, jsonb, text, bigint, integer, uuid, jsonb);
drop function kitloop.take_job(uuid, jsonb, text, bigint, integer, uuid, jsonb);
drop function kitloop.job_document(public.jobs);
drop function kitloop.enter_job_credits(public.jobs, text);
