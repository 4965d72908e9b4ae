#include "bine/defer/function.h"

#include <functional>

namespace bine::inline v0::detail {

void throwEmptyFunction() { throw std::bad_function_call(); }

}  // namespace bine::inline v0::detail
