---@meta
--- The shapes that the public functions take and give, for editors.
-- Nothing here runs; what is checked stands in schema.lua and options.lua.

---@alias sendapi.Text string|number a number becomes its decimal text
---@alias sendapi.Date string|number text in any form, or epoch seconds

--- `on_dead` and `on_pause` are called as callbacks are, but keep no loop and no worker from its
-- end. While no call is under way they are called in nginx within about a second, under luv while
-- its loop runs; under cqueues, in ticks and in scripts by `poll` alone, and `pollfd` says when.
---@class sendapi.ClientOptions
---@field domain string?           `acme`, or a whole host with a dot
---@field base_url string?         goes before `domain`
---@field source_options string[]? the source's options, as in `implementation.info`
---@field extra_fields boolean?    let unknown fields pass
---@field timeout number?          seconds for a whole exchange, 30
---@field deadline number?         seconds for a call with all its attempts, 60
---@field retry sendapi.RetryPolicy|false|nil|fun(err: sendapi.Error, attempt: integer): number?
---@field ordered boolean?         keep the order within conversations, true
---@field runtime sendapi.RuntimeName? how a call waits; found out unless given
---@field close_timeout number?    seconds, 5
---@field log fun(level: "error"|"warn"|"info", message: string)|nil
---@field connect_timeout number?  seconds, 5
---@field connections integer?     requests on their way at once, 16
---@field outbox string?           a path or a `redis://` url: what that promises is in outbox.lua
---@field durability "full"|"process"|nil what the outbox survives: full: the machine's crash
---@field on_dead fun(letter: sendapi.Letter)|nil a message was given up
---@field on_pause fun(err: sendapi.Error|nil)|nil the source is at fault; nil: it goes on
---@field max_pending integer?     requests accepted and not answered, 10000
---@field max_pending_bytes integer? 268435456
---@field ca_file string?          PEM
---@field proxy string?
---@field http2 boolean?
---@field insecure_http boolean?

---@class sendapi.RetryPolicy
---@field attempts integer? that a server saw, at most, 4; 1: a single one, seen or not
---@field first number?     seconds: the longest wait before the second attempt, 0.5
---@field longest number?   seconds: what doubling leads to, 8

---@class sendapi.Stats
---@field accepted integer
---@field delivered integer
---@field stored integer    durable in the outbox
---@field refused integer   the server answered and said no
---@field failed integer    everything else
---@field pending integer
---@field pending_bytes integer
---@field retries integer   attempts after the first
---@field bytes integer     of the accepted bodies
---@field latency sendapi.Latency
---@field outbox sendapi.OutboxStats? with the option `outbox`

--- What became of the source's messages in the outbox, of all clients and processes as far as this
-- one knows: accepted = delivered + discarded + dead + pending. What was there at the beginning
-- counts as accepted. What other processes do is seen about once a second: what they appended
-- counts as accepted, what they delivered or discarded as delivered.
---@class sendapi.OutboxStats
---@field accepted integer
---@field delivered integer
---@field discarded integer
---@field dead integer
---@field pending integer
---@field oldest number?    when the oldest pending one was accepted, in seconds since 1970
---@field paused boolean    for a fault of the source
---@field failing boolean   whether the server, or the store, was not well when last tried
---@field deliverer boolean whether this process delivers the source now, through an open client

---@class sendapi.Latency of what was delivered or stored, from the call to the answer, in seconds
---@field count integer
---@field sum number
---@field p50 number
---@field p90 number
---@field p99 number
---@field max number

---@alias sendapi.Outcome fun(ok: true|nil, err: sendapi.Error|nil)

---@class sendapi.Problem
---@field code string     `invalid_params`, `request_too_large` or `warning`
---@field severity "error"|"warning"
---@field field string    the path: `params.author.screenname`
---@field message string  the path and a sentence

---@class sendapi.Message
---@field id sendapi.Text
---@field thread_id sendapi.Text? required, unless the source has `messages.unthreaded`
---@field author sendapi.User
---@field body sendapi.Text? required, unless there are attachments
---@field attachments (sendapi.Attachment|userdata)[]? tables, or `sendapi.file`
---@field actions string[]?
---@field categories string[]?
---@field context_data table<string, string|string[]>?
---@field created_at sendapi.Date?
---@field updated_at sendapi.Date?
---@field display_url string?
---@field format "html"|"text"|nil
---@field in_reply_to_id sendapi.Text?
---@field ip string?
---@field language string?
---@field structured_content sendapi.StructuredContent? needs a puppetizable author
---@field structured_reply { payload: string }?

---@class sendapi.PrivateMessage: sendapi.Message without `thread_id`
---@field recipient sendapi.User

---@class sendapi.Thread
---@field id sendapi.Text
---@field author sendapi.User? required, as `body` is, unless the source has `threads.no_content`
---@field body sendapi.Text?
---@field title sendapi.Text?
---@field actions string[]?
---@field categories string[]?
---@field context_data table<string, string|string[]>?
---@field created_at sendapi.Date?
---@field updated_at sendapi.Date?
---@field display_url string?
---@field format "html"|"text"|nil
---@field ip string?

---@class sendapi.User
---@field id sendapi.Text
---@field screenname sendapi.Text
---@field created_at sendapi.Date
---@field updated_at sendapi.Date?
---@field firstname string?
---@field lastname string?
---@field avatar_url string?
---@field email string?
---@field home_phone sendapi.Text?
---@field mobile_phone sendapi.Text?
---@field puppetizable boolean? the identity belongs to agents
---@field gender "man"|"woman"|nil
---@field context_data table<string, string|string[]>?

---@class sendapi.Attachment
---@field url string?      or `content` with `filename`
---@field content string?  base64
---@field filename string?
---@field type "audio"|"video"|nil

---@class sendapi.StructuredContent
---@field type "select"|"rich_link"|"template"|"carousel"
---@field items table[]?
---@field title string?
---@field subtitle string?
---@field url string?
---@field url_text string?
---@field attachment_url string?

---@class sendapi.Status
---@field id sendapi.Text the message that was read

---@class sendapi.Typing
---@field thread_id sendapi.Text?      required, unless there is `in_reply_to_id`, which wins
---@field in_reply_to_id sendapi.Text?
---@field preview sendapi.Text?        required by `typing.start`, unknown to `typing.stop`

--- `(params)` waits; `(params, callback)` and `(params, call_options, callback)` do not.
---@alias sendapi.Call<T> fun(self, params: T, given: sendapi.CallOptions|sendapi.Outcome|nil,
---  callback: sendapi.Outcome|nil): true|nil, sendapi.Error|nil

---@class sendapi.Messages
---@field create sendapi.Call<sendapi.Message>

---@class sendapi.PrivateMessages
---@field create sendapi.Call<sendapi.PrivateMessage>

---@class sendapi.Threads
---@field create sendapi.Call<sendapi.Thread>

---@class sendapi.Users
---@field create sendapi.Call<sendapi.User>

---@class sendapi.StatusActions
---@field mark_as_read sendapi.Call<sendapi.Status>

---@class sendapi.TypingActions
---@field start sendapi.Call<sendapi.Typing>
---@field stop sendapi.Call<sendapi.Typing>

--- What Engage Digital asks of a connector. Returns the object (`list`: a sequence of them, newest
-- first); or nil and a text, when it may be tried again; or nil and `{ message, fatal = true }`.
---@alias sendapi.Handler fun(params: table, request: sendapi.ConnectorRequest): any, any

---@class sendapi.ConnectorRequest
---@field action string     `messages.create`
---@field object string     `messages`
---@field operation string  `create`
---@field time string?      ISO 8601, when Engage Digital asked
---@field params table      without nulls; empty when there were none

---@class sendapi.Operations further names are custom actions, which answer the whole object
---@field list sendapi.Handler?      `params.since_id`: see `sendapi.page`
---@field show sendapi.Handler?      `params.id`; nil when there is no such object
---@field create sendapi.Handler?    answers the object, at least its id
---@field delete sendapi.Handler?    `params.id`; answers the object, as the others do
---@field publish sendapi.Handler?
---@field unpublish sendapi.Handler?
---@field reply boolean?             declared only, never called
---@field [string] sendapi.Handler

---@class sendapi.Definition
---@field messages sendapi.Operations?
---@field private_messages sendapi.Operations?
---@field threads sendapi.Operations?
---@field messaging { queuing_update: sendapi.Handler? }? what it returns is not looked at
---@field status boolean|string[]|nil what the client sends: all operations, or these
---@field typing boolean|string[]|nil
---@field users boolean|string[]|nil
---@field options string[]?           the source's, as in `implementation.info`
---@field locales table<string, table<string, string>>? buttons' names: language, operation, text
---@field store sendapi.AnswerStore|false|nil for repeated creates; memory unless given, false: none
---@field log fun(level: "error"|"warn"|"info", message: string)|nil
---@field extra_fields boolean?       let unknown fields pass

---@class sendapi.AnswerStore such as nginx's `ngx.shared.DICT`
---@field get fun(self, key: string): string|nil
---@field set fun(self, key: string, value: string, seconds: number)
---@field add (fun(self, key: string, value: string, seconds: number): boolean|nil)|nil true only
-- when the key was not there: of two requests at once one alone is handled then
---@field delete fun(self, key: string)|nil

---@class sendapi.SourceOptions: sendapi.ClientOptions without `source_options`
---@field id string               the source's id
---@field token string|string[]   during a rotation both, the new one first
---@field options string[]?       the source's, as in `implementation.info`
