-- Roles stay as they are: other databases of the cluster may use them.
revoke usage on schema kitloop from kitloop_app, anon, authenticated;
alter default privileges grant execute on functions to public;
drop schema kitloop cascade;
