-- A ticket for whoever asks, by the published script; `sale` is set by nginx.sh. Connections to
-- Redis are kept, so that none is made for a request once there are as many as requests at a time.
local redis = require "nginx.redis"
local link = redis:new()
link:set_timeout(1000)
if not link:connect(sale.address) then
    return ngx.exit(503)
end
local sold =
    link:evalsha(sale.script, 1, "ticket_hash_key", "ticket_total_nums", "ticket_sold_nums")
if not sold then
    return ngx.exit(503)
end
link:set_keepalive(60000, 1024)
local body = sold > 0 and sale.yes or sale.no
ngx.header.content_length = #body
ngx.print(body)
