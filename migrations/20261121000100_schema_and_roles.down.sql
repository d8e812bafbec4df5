-- Roles stay: other databases of the cluster may use them.
revoke usage on schema kitloop from kitloop_app, anon, authenticated;
alter role kitloop_app reset statement_timeout;
alter role kitloop_app reset lock_timeout;
alter role kitloop_app reset idle_in_transaction_session_timeout;
alter default privileges grant execute on functions to public;
drop schema kitloop cascade;
