rockspec_format = "3.0"
package = "sendapi"
version = "scm-1"

source = {
  url = "git+https://github.com/sendapi/sendapi.git",
}

description = {
  summary = "Signed messages to RingCentral Engage Digital: the Send API of its SDK sources",
  detailed = [[
A small C core under a Lua library: it checks, serializes and signs a message on the caller's
thread, and a background thread delivers it with libcurl.]],
  homepage = "https://github.com/sendapi/sendapi",
  license = "MIT",
}

dependencies = {
  "lua >= 5.1, < 5.6",
  "lua-cjson",
}

-- Here so that `luarocks make CURL_DIR=... OPENSSL_DIR=...` is understood. No library is looked
-- for, and no header of curl's: LuaRocks does not look where a multi-arch system keeps them. The
-- compiler does.
external_dependencies = {
  CURL = {},
  OPENSSL = { header = "openssl/evp.h" },
}

build = {
  type = "builtin",
  -- The sandbox's page: files that are no modules, beside those that are.
  install = {
    lua = {
      ["sendapi.sandbox.page.api"] = "lua/sendapi/sandbox/page/api.js",
      ["sendapi.sandbox.page.app"] = "lua/sendapi/sandbox/page/app.js",
      ["sendapi.sandbox.page.composer"] = "lua/sendapi/sandbox/page/composer.js",
      ["sendapi.sandbox.page.contents"] = "lua/sendapi/sandbox/page/contents.js",
      ["sendapi.sandbox.page.conversation"] = "lua/sendapi/sandbox/page/conversation.js",
      ["sendapi.sandbox.page.copies"] = "lua/sendapi/sandbox/page/copies.js",
      ["sendapi.sandbox.page.dialogs"] = "lua/sendapi/sandbox/page/dialogs.js",
      ["sendapi.sandbox.page.dom"] = "lua/sendapi/sandbox/page/dom.js",
      ["sendapi.sandbox.page.faults"] = "lua/sendapi/sandbox/page/faults.js",
      ["sendapi.sandbox.page.format"] = "lua/sendapi/sandbox/page/format.js",
      ["sendapi.sandbox.page.icons"] = "lua/sendapi/sandbox/page/icons.js",
      ["sendapi.sandbox.page.inbox"] = "lua/sendapi/sandbox/page/inbox.js",
      ["sendapi.sandbox.page.index"] = "lua/sendapi/sandbox/page/index.html",
      ["sendapi.sandbox.page.message"] = "lua/sendapi/sandbox/page/message.js",
      ["sendapi.sandbox.page.notice"] = "lua/sendapi/sandbox/page/notice.js",
      ["sendapi.sandbox.page.protocol"] = "lua/sendapi/sandbox/page/protocol.js",
      ["sendapi.sandbox.page.rows"] = "lua/sendapi/sandbox/page/rows.js",
      ["sendapi.sandbox.page.store"] = "lua/sendapi/sandbox/page/store.js",
      ["sendapi.sandbox.page.style"] = "lua/sendapi/sandbox/page/style.css",
      ["sendapi.sandbox.page.theme"] = "lua/sendapi/sandbox/page/theme.js",
      ["sendapi.sandbox.page.wire"] = "lua/sendapi/sandbox/page/wire.js",
    },
  },
  modules = {
    sendapi = "lua/sendapi/init.lua",
    ["sendapi.actions"] = "lua/sendapi/actions.lua",
    ["sendapi.call"] = "lua/sendapi/call.lua",
    ["sendapi.client"] = "lua/sendapi/client.lua",
    ["sendapi.connector"] = "lua/sendapi/connector/init.lua",
    ["sendapi.engine"] = "lua/sendapi/engine.lua",
    ["sendapi.error"] = "lua/sendapi/error.lua",
    ["sendapi.json"] = "lua/sendapi/json.lua",
    ["sendapi.log"] = "lua/sendapi/log.lua",
    ["sendapi.options"] = "lua/sendapi/options.lua",
    ["sendapi.prometheus"] = "lua/sendapi/prometheus.lua",
    ["sendapi.queue"] = "lua/sendapi/queue.lua",
    ["sendapi.runtime"] = "lua/sendapi/runtime/init.lua",
    ["sendapi.schema"] = "lua/sendapi/schema.lua",
    ["sendapi.source"] = "lua/sendapi/source.lua",
    ["sendapi.typing"] = "lua/sendapi/typing.lua",
    ["sendapi.url"] = "lua/sendapi/url.lua",
    ["sendapi.version"] = "lua/sendapi/version.lua",
    ["sendapi.connector.answer"] = "lua/sendapi/connector/answer.lua",
    ["sendapi.connector.definition"] = "lua/sendapi/connector/definition.lua",
    ["sendapi.connector.options"] = "lua/sendapi/connector/options.lua",
    ["sendapi.connector.page"] = "lua/sendapi/connector/page.lua",
    ["sendapi.connector.request"] = "lua/sendapi/connector/request.lua",
    ["sendapi.connector.store"] = "lua/sendapi/connector/store.lua",
    ["sendapi.runtime.blocking"] = "lua/sendapi/runtime/blocking.lua",
    ["sendapi.runtime.cqueues"] = "lua/sendapi/runtime/cqueues.lua",
    ["sendapi.runtime.luv"] = "lua/sendapi/runtime/luv.lua",
    ["sendapi.runtime.nginx"] = "lua/sendapi/runtime/nginx.lua",
    ["sendapi.runtime.tick"] = "lua/sendapi/runtime/tick.lua",
    ["sendapi.sandbox.agents"] = "lua/sendapi/sandbox/agents.lua",
    ["sendapi.sandbox.certificate"] = "lua/sendapi/sandbox/certificate.lua",
    ["sendapi.sandbox.commands"] = "lua/sendapi/sandbox/commands.lua",
    ["sendapi.sandbox.configuration"] = "lua/sendapi/sandbox/configuration.lua",
    ["sendapi.sandbox.connection"] = "lua/sendapi/sandbox/connection.lua",
    ["sendapi.sandbox.conversations"] = "lua/sendapi/sandbox/conversations.lua",
    ["sendapi.sandbox.encode"] = "lua/sendapi/sandbox/encode.lua",
    ["sendapi.sandbox.events"] = "lua/sendapi/sandbox/events.lua",
    ["sendapi.sandbox.exchanges"] = "lua/sendapi/sandbox/exchanges.lua",
    ["sendapi.sandbox.faults"] = "lua/sendapi/sandbox/faults.lua",
    ["sendapi.sandbox.guard"] = "lua/sendapi/sandbox/guard.lua",
    ["sendapi.sandbox.host"] = "lua/sendapi/sandbox/host.lua",
    ["sendapi.sandbox.inquiries"] = "lua/sendapi/sandbox/inquiries.lua",
    ["sendapi.sandbox.intake"] = "lua/sendapi/sandbox/intake.lua",
    ["sendapi.sandbox.nginx"] = "lua/sendapi/sandbox/nginx.lua",
    ["sendapi.sandbox.orders"] = "lua/sendapi/sandbox/orders.lua",
    ["sendapi.sandbox.owner"] = "lua/sendapi/sandbox/owner.lua",
    ["sendapi.sandbox.plan"] = "lua/sendapi/sandbox/plan.lua",
    ["sendapi.sandbox.poller"] = "lua/sendapi/sandbox/poller.lua",
    ["sendapi.sandbox.rules"] = "lua/sendapi/sandbox/rules.lua",
    ["sendapi.sandbox.screen"] = "lua/sendapi/sandbox/screen.lua",
    ["sendapi.sandbox.serialisations"] = "lua/sendapi/sandbox/serialisations.lua",
    ["sendapi.sandbox.settings"] = "lua/sendapi/sandbox/settings.lua",
    ["sendapi.sandbox.shell"] = "lua/sendapi/sandbox/shell.lua",
    ["sendapi.sandbox.signature"] = "lua/sendapi/sandbox/signature.lua",
    ["sendapi.sandbox.state"] = "lua/sendapi/sandbox/state.lua",
    ["sendapi.sandbox.stream"] = "lua/sendapi/sandbox/stream.lua",
    ["sendapi.sandbox.typing_marks"] = "lua/sendapi/sandbox/typing_marks.lua",
    ["sendapi.sandbox.verdict"] = "lua/sendapi/sandbox/verdict.lua",
    ["sendapi.sandbox.view"] = "lua/sendapi/sandbox/view.lua",
    ["sendapi.sandbox.wire"] = "lua/sendapi/sandbox/wire.lua",
    ["sendapi.sandbox.world"] = "lua/sendapi/sandbox/world.lua",
    ["sendapi.core"] = {
      sources = {
        "src/base64.c",
        "src/buffer.c",
        "src/date.c",
        "src/endpoint.c",
        "src/engine.c",
        "src/failure.c",
        "src/histogram.c",
        "src/hmac.c",
        "src/http.c",
        "src/json.c",
        "src/lanes.c",
        "src/lcompat.c",
        "src/lencode.c",
        "src/lendpoint.c",
        "src/lengine.c",
        "src/lexchange.c",
        "src/lfile.c",
        "src/lobject.c",
        "src/lproblem.c",
        "src/lschema.c",
        "src/lsendapi.c",
        "src/lsigner.c",
        "src/ltable.c",
        "src/ltext.c",
        "src/ltools.c",
        "src/queue.c",
        "src/request.c",
        "src/retry.c",
        "src/scheduler.c",
        "src/schema.c",
        "src/suggest.c",
        "src/timers.c",
        "src/transfer.c",
        "src/wakeup.c",
      },
      defines = { "_POSIX_C_SOURCE=200809L" },
      incdirs = { "$(CURL_INCDIR)", "$(OPENSSL_INCDIR)" },
      libdirs = { "$(CURL_LIBDIR)", "$(OPENSSL_LIBDIR)" },
      libraries = { "curl", "crypto", "pthread" },
    },
  },
}

test_dependencies = {
  "busted",
}

test = {
  type = "busted",
}
