/* The store in a SQLite file: the contract, and what a machine does to a file. */

#include "store_sqlite.h"

#include "store_contract.h"

static char folder[64];
static char path[96];
static unsigned places;

static void settle(struct store_settings *settings)
{
    if (folder[0] == '\0') {
        (void)snprintf(folder, sizeof folder, "%s", "/tmp/sendapi-store-XXXXXX");
        if (mkdtemp(folder) == NULL) {
            abort();
        }
    }
    (void)snprintf(path, sizeof path, "%s/%u.db", folder, ++places);
    *settings = (struct store_settings){.path = path, .lease_seconds = 10};
}

int main(int count, char **names)
{
    contract = (struct store_contract){.driver = &store_sqlite, .settle = settle};
    static const struct check_case cases[] = {STORE_CONTRACT_CASES};
    return CHECK_RUN(cases, count, names);
}
