drop function kitloop.finish_cron_run(uuid, jsonb, text);
drop function kitloop.start_cron_run(text);
drop function kitloop.expire_holds(integer);
drop function kitloop.release_unanswered(integer);
drop function kitloop.answer_by(public.payments);
drop function kitloop.expire_lapsed(integer);
