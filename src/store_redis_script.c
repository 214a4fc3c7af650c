#include "store_redis_script.h"

#include <stdio.h>  /* snprintf(3) */
#include <stdlib.h> /* malloc(3) */
#include <string.h>

/*
 * `known` is the state: its format, token, holder and id. Ids end well before STORE_MOST_ID, where
 * Lua's numbers are whole.
 */
static const char shared[] =
    "local state, pending, dead, letters, lease, last = unpack(KEYS)\n"
    "local call = redis.call\n"
    "local known = call('HMGET', state, 'format', 'token', 'holder', 'id')\n"
    "if known[1] and known[1] ~= '1' then\n"
    "  return redis.error_reply('" REDIS_NEWER " a newer format')\n"
    "end\n"
    "local function whole(number) return string.format('%.0f', number) end\n"
    "local function foreign() return redis.error_reply('" REDIS_FOREIGN " not ours') end\n"
    "local function fenced(owner, token)\n"
    "  return token ~= '' and (known[2] ~= token or known[3] ~= owner)\n"
    "end\n"
    /* id, lane, body, time, action; nil when it is not a row of ours */
    "local function read(entry)\n"
    "  local id, v = string.match(entry[1], '^(%d+)%-0$'), entry[2]\n"
    "  if not id or tonumber(id) > 9e15 or #v ~= 8 or v[1] ~= 'l' or v[3] ~= 'b'\n"
    "    or v[5] ~= 't' or v[7] ~= 'a' then return nil end\n"
    "  return { id, v[2], v[4], v[6], v[8] }\n"
    "end\n"
    "local function add(id, lane, body, time, action)\n"
    "  return redis.pcall('XADD', pending, whole(id) .. '-0', 'l', lane, 'b', body, 't', time,\n"
    "    'a', action)\n"
    "end\n"
    "local function failed(answer) return type(answer) == 'table' and answer.err ~= nil end\n"
    /* the last id that anything here had, for when the counter is lost or behind */
    "local function highest()\n"
    "  local id = 0\n"
    "  if call('EXISTS', pending) == 1 then\n"
    "    local info = call('XINFO', 'STREAM', pending)\n"
    "    for i = 1, #info, 2 do\n"
    "      if info[i] == 'last-generated-id' then\n"
    "        id = tonumber(string.match(info[i + 1], '^%d+'))\n"
    "      end\n"
    "    end\n"
    "  end\n"
    "  local top = call('ZREVRANGE', dead, 0, 0)[1]\n"
    "  return math.max(id, tonumber(top or 0))\n"
    "end\n"
    /* the id of the first of rows to come, once `first` has it; or an error, and nothing done */
    "local function begin(first)\n"
    "  local id = tonumber(known[4] or highest()) + 1\n"
    "  if id > 8e15 then return foreign() end\n"
    "  local answer = first(id)\n"
    "  if failed(answer) and string.find(answer.err, 'equal or smaller', 1, true) then\n"
    "    id = highest() + 1\n"
    "    if id > 8e15 then return foreign() end\n"
    "    answer = first(id)\n"
    "  end\n"
    "  if failed(answer) then return answer end\n"
    "  return id\n"
    "end\n"
    "local function count(id, bytes)\n"
    "  call('HMSET', state, 'format', '1', 'id', whole(id))\n"
    "  call('HINCRBY', state, 'bytes', whole(bytes))\n"
    "end\n"
    "local function freed(bytes)\n"
    "  if call('XLEN', pending) == 0 then\n"
    "    call('HSET', state, 'bytes', '0')\n"
    "  elseif bytes > 0 then\n"
    "    call('HINCRBY', state, 'bytes', whole(-bytes))\n"
    "  end\n"
    "end\n"
    "local function unpacked(id)\n"
    "  local packed = call('HGET', letters, id)\n"
    "  local fine, letter = pcall(cmsgpack.unpack, packed or '')\n"
    "  if not fine or type(letter) ~= 'table' or #letter ~= 9 then return nil end\n"
    "  for i = 1, 9 do if type(letter[i]) ~= 'string' then return nil end end\n"
    "  return letter\n"
    "end\n"
    "call('XLEN', pending) call('ZCARD', dead) call('HLEN', letters)\n";

static const char *const own[REDIS_SCRIPTS] = {
    /* number of the append; lane, body, time, action of each row -> id of the first; "0": refused,
     * since a later append was settled or made */
    [REDIS_APPEND] =
        "local number = tonumber(ARGV[1])\n"
        "local before, begun = string.match(call('GET', last) or '0 0', '^(%d+) (%d+)')\n"
        "if tonumber(before) >= number then\n"
        "  return tonumber(before) == number and begun or '0'\n"
        "end\n"
        "local id = begin(function(id) return add(id, ARGV[2], ARGV[3], ARGV[4], ARGV[5]) end)\n"
        "if type(id) == 'table' then return id end\n"
        "local first, bytes = id, #ARGV[3]\n"
        "for i = 6, #ARGV, 4 do\n"
        "  id = id + 1\n"
        "  local answer = add(id, ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3])\n"
        "  if failed(answer) then\n"
        "    for undone = first, id - 1 do call('XDEL', pending, whole(undone) .. '-0') end\n"
        "    return answer\n"
        "  end\n"
        "  bytes = bytes + #ARGV[i + 1]\n"
        "end\n"
        "count(id, bytes)\n"
        "call('SET', last, ARGV[1] .. ' ' .. whole(first) .. ' ' .. whole(id), 'EX', 86400)\n"
        "return whole(first)\n",

    /* number of the append in doubt; "1" to keep it, "0" to take it back -> id of its first row;
     * "0": it has not come through, or was taken back, and cannot come through any more */
    [REDIS_SETTLE] =
        "local number, first, to = string.match(call('GET', last) or '', '^(%d+) (%d+) (%d+)$')\n"
        "if number ~= ARGV[1] then first, to = '0', '0' end\n"
        "if first ~= '0' and ARGV[2] == '1' then return first end\n"
        "call('DEL', last)\n"
        "local bytes = 0\n"
        "if first ~= '0' then\n"
        "  for id = tonumber(first), tonumber(to) do\n"
        "    local key = whole(id) .. '-0'\n"
        "    local entry = call('XRANGE', pending, key, key)[1]\n"
        "    local row = entry and read(entry)\n"
        "    if row then\n"
        "      call('XDEL', pending, key)\n"
        "      bytes = bytes + #row[3]\n"
        "    end\n"
        "  end\n"
        "  freed(bytes)\n"
        "end\n"
        "call('SET', last, ARGV[1] .. ' 0 0', 'EX', 86400)\n"
        "return '0'\n",

    /* owner; token of the lease to renew, or "" to take it; milliseconds -> its token; "0": it is
     * another's */
    [REDIS_TAKE] = "local owner, token = ARGV[1], ARGV[2]\n"
                   "if fenced(owner, token) then return '0' end\n"
                   "local now = call('GET', lease)\n"
                   "if token ~= '' and now == owner .. ' ' .. token then\n"
                   "  call('PEXPIRE', lease, ARGV[3])\n"
                   "  return token\n"
                   "end\n"
                   "if now and string.sub(now, 1, #owner + 1) ~= owner .. ' ' then return '0' end\n"
                   "call('DEL', lease)\n"
                   "if token == '' then\n"
                   "  token = whole(call('HINCRBY', state, 'token', 1))\n"
                   "  call('HMSET', state, 'format', '1', 'holder', owner)\n"
                   "end\n"
                   "call('SET', lease, owner .. ' ' .. token, 'PX', ARGV[3])\n"
                   "return token\n",

    /* owner, token -> 1 when it was theirs */
    [REDIS_RELEASE] = "if call('GET', lease) ~= ARGV[1] .. ' ' .. ARGV[2] then return 0 end\n"
                      "return call('DEL', lease)\n",

    /* owner; token, or "" to look only; id to begin with; rows and bytes at most -> rows */
    [REDIS_NEXT] = "if fenced(ARGV[1], ARGV[2]) then\n"
                   "  return redis.error_reply('" REDIS_FENCED " the lease was lost')\n"
                   "end\n"
                   "local rows, bytes, from, most = {}, 0, ARGV[3], tonumber(ARGV[5])\n"
                   "for i = 1, tonumber(ARGV[4]) do\n"
                   "  local entry = call('XRANGE', pending, from, '+', 'COUNT', 1)[1]\n"
                   "  if not entry then break end\n"
                   "  local row = read(entry)\n"
                   "  if not row then return foreign() end\n"
                   "  rows[i] = row\n"
                   "  bytes = bytes + #row[3]\n"
                   "  if bytes >= most then break end\n"
                   "  from = whole(tonumber(row[1]) + 1)\n"
                   "end\n"
                   "return rows\n",

    /* owner, token; of each row: id, "1" when it was delivered, code, reason, status, attempts,
     * time -> how many were pending */
    [REDIS_END] =
        "if fenced(ARGV[1], ARGV[2]) then\n"
        "  return redis.error_reply('" REDIS_FENCED " the lease was lost')\n"
        "end\n"
        "local bytes, ended = 0, 0\n"
        "for i = 3, #ARGV, 7 do\n"
        "  local id = ARGV[i]\n"
        "  local key = id .. '-0'\n"
        "  local entry = call('XRANGE', pending, key, key)[1]\n"
        "  local row = entry and read(entry)\n"
        "  if row then\n"
        "    if ARGV[i + 1] ~= '1' then\n"
        "      call('XDEL', pending, '0-0')\n"
        "      call('HSET', letters, id, cmsgpack.pack({ row[2], row[3], row[4], row[5],\n"
        "        ARGV[i + 2], ARGV[i + 3], ARGV[i + 4], ARGV[i + 5], ARGV[i + 6] }))\n"
        "      call('ZADD', dead, id, id)\n"
        "    end\n"
        "    call('XDEL', pending, key)\n"
        "    bytes, ended = bytes + #row[3], ended + 1\n"
        "  end\n"
        "end\n"
        "if ended > 0 then freed(bytes) end\n"
        "return ended\n",

    /* id that they are above; letters and bytes at most -> letters */
    [REDIS_READ_LETTERS] =
        "local ids = call('ZRANGEBYSCORE', dead, '(' .. ARGV[1], '+inf', 'LIMIT', 0, ARGV[2])\n"
        "local found, bytes, most = {}, 0, tonumber(ARGV[3])\n"
        "for i, id in ipairs(ids) do\n"
        "  local letter = unpacked(id)\n"
        "  if not letter then return foreign() end\n"
        "  bytes = bytes + #letter[2]\n"
        "  table.insert(letter, 1, id)\n"
        "  found[i] = letter\n"
        "  if bytes >= most then break end\n"
        "end\n"
        "return found\n",

    /* id, or "0" for all; the highest id to retry, or "" for the highest there is; letters and
     * bytes at most; the time -> how many were made pending, how many are left, the highest id */
    [REDIS_RETRY] = "local upto = ARGV[2]\n"
                    "if upto == '' then upto = call('ZREVRANGE', dead, 0, 0)[1] or '0' end\n"
                    "local ids = { ARGV[1] }\n"
                    "if ARGV[1] == '0' then\n"
                    "  ids = call('ZRANGEBYSCORE', dead, '-inf', upto, 'LIMIT', 0, ARGV[3])\n"
                    "elseif not call('ZSCORE', dead, ARGV[1]) then\n"
                    "  ids = {}\n"
                    "end\n"
                    "local made, bytes, most, id = 0, 0, tonumber(ARGV[4]), nil\n"
                    "for i, old in ipairs(ids) do\n"
                    "  local letter = unpacked(old)\n"
                    "  if not letter then\n"
                    "    if i == 1 then return foreign() end\n"
                    "    break\n"
                    "  end\n"
                    "  local lane, body, time, action = letter[1], letter[2], ARGV[5], letter[4]\n"
                    "  local answer\n"
                    "  if id then\n"
                    "    id = id + 1\n"
                    "    answer = add(id, lane, body, time, action)\n"
                    "    if failed(answer) then id = id - 1 break end\n"
                    "  else\n"
                    "    id = begin(function(new) return add(new, lane, body, time, action) end)\n"
                    "    if type(id) == 'table' then return id end\n"
                    "  end\n"
                    "  call('HDEL', letters, old)\n"
                    "  call('ZREM', dead, old)\n"
                    "  made, bytes = made + 1, bytes + #body\n"
                    "  if bytes >= most then break end\n"
                    "end\n"
                    "if id then count(id, bytes) end\n"
                    "local left = ARGV[1] == '0' and call('ZCOUNT', dead, '-inf', upto) or 0\n"
                    "return { whole(made), whole(left), upto }\n",

    /* id, or "0" for all -> how many there were */
    [REDIS_DISCARD] = "if ARGV[1] == '0' then\n"
                      "  local there = call('ZCARD', dead)\n"
                      "  call('UNLINK', dead, letters)\n"
                      "  return there\n"
                      "end\n"
                      "call('HDEL', letters, ARGV[1])\n"
                      "return call('ZREM', dead, ARGV[1])\n",

    /* -> pending rows, their bytes, letters, time of the oldest row, highest id of a letter */
    [REDIS_FIGURES] =
        "local there, time = call('XLEN', pending), nil\n"
        "local entry = call('XRANGE', pending, '-', '+', 'COUNT', 1)[1]\n"
        "if entry then\n"
        "  local row = read(entry)\n"
        "  if not row then return foreign() end\n"
        "  time = row[4]\n"
        "end\n"
        "local bytes = there > 0 and math.max(0, call('HGET', state, 'bytes') or 0) or 0\n"
        "local newest = call('ZREVRANGE', dead, 0, 0)[1] or '0'\n"
        "return { whole(there), whole(bytes), whole(call('ZCARD', dead)), time or '0', newest }\n",
};

char *redis_script_text(enum redis_script script)
{
    size_t length = sizeof shared + strlen(own[script]);
    char *text = malloc(length);
    if (text != NULL) {
        (void)snprintf(text, length, "%s%s", shared, own[script]);
    }
    return text;
}
