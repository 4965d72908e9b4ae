#pragma once
// What the mistakes include, for mistakes_test, which precompiles it.

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "bine/defer/deferred_list.h"
#include "bine/defer/gather_results.h"
#include "bine/defer/race.h"
#include "bine/net/tcp.h"
#include "bine/protocols/line_receiver.h"
#include "bine/reactors/defer_to_thread.h"
