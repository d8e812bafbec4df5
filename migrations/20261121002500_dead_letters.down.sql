drop function kitloop.replay_dead_letter(uuid, text);
drop function kitloop.can_pay_again(public.jobs);
drop function kitloop.revive_job(public.jobs);
drop function kitloop.ops_dead_letters(boolean, uuid, integer);
