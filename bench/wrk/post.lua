-- Submits forms, each another one from another client: no limit and no duplicate.
-- Arguments: a number that no other run has, and what to send as `Prefer` (or nothing).

local threads = 0

function setup(thread)
   thread:set("thread", threads)
   threads = threads + 1
end

local head, run, count

function init(arguments)
   run = tonumber(arguments[1]) * 16 + thread
   count = 0
   local lines = {
      "POST /api/support/ticket HTTP/1.1",
      "Host: 127.0.0.1",
      "Content-Type: application/json",
   }
   if arguments[2] then
      table.insert(lines, "Prefer: " .. arguments[2])
   end
   head = table.concat(lines, "\r\n") .. "\r\n"
end

function request()
   count = count + 1
   -- IPv6 clients are told apart by the first half of their address.
   local client = string.format("2001:%x:%x:%x::1", run, math.floor(count / 65536), count % 65536)
   local body = string.format(
      '{"name":"Ada Lovelace","email":"ada.%d.%d@example.org","subject":"technical",'
         .. '"message":"The engine has stopped again, number %d. It was at work on the numbers of '
         .. 'Bernoulli when it did, and nobody had touched it.",'
         .. '"timestamp":"2026-11-22T10:30:00.000Z","userId":"user-%d",'
         .. '"userAgent":"Mozilla/5.0 (X11; Linux x86_64)","url":"https://www.example.org/support"}',
      run, count, count, count)
   return string.format("%sX-Forwarded-For: %s\r\nContent-Length: %d\r\n\r\n%s", head, client, #body, body)
end
