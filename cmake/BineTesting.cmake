# bine_add_test, bine_add_conformance, bine_add_gui_test.
#
# A test is a Qt Test executable. CTest runs it offscreen, and what it printed is kept in <build>/results/<test name>.txt,
# where tools/contract reads which rules passed.
file(MAKE_DIRECTORY ${PROJECT_BINARY_DIR}/results)

set(symbolizer "")
if(BINE_SANITIZE)
    find_program(BINE_SYMBOLIZER NAMES llvm-symbolizer-19 llvm-symbolizer)
    if(BINE_SYMBOLIZER)
        file(REAL_PATH ${BINE_SYMBOLIZER} path)
        set(symbolizer ":external_symbolizer_path=${path}")
    endif()
endif()
set(BINE_TEST_ENVIRONMENT
    "ASAN_OPTIONS=detect_stack_use_after_return=1:strict_string_checks=1${symbolizer}"
    "UBSAN_OPTIONS=print_stacktrace=1${symbolizer}"
    "LSAN_OPTIONS=suppressions=${PROJECT_SOURCE_DIR}/cmake/lsan.supp:print_suppressions=0"
    "TSAN_OPTIONS=ignore_noninstrumented_modules=1:suppressions=${PROJECT_SOURCE_DIR}/cmake/tsan.supp${symbolizer}")
set(BINE_TEST_TIMEOUT 300)
if(BINE_SANITIZE)
    set(BINE_TEST_TIMEOUT 600)
endif()

# What a test links when it says nothing: everything there is.
set(BINE_TEST_LIBS Qt6::Test bine_net bine_application)
foreach(library IN ITEMS bine_qt bine_gtk)
    if(TARGET ${library})
        list(APPEND BINE_TEST_LIBS ${library})
    endif()
endforeach()

# The reactors of this build: those asked for, less those whose toolkit is missing.
set(BINE_REACTORS ${BINE_TEST_REACTORS})
foreach(reactor IN LISTS BINE_REACTORS)
    if(NOT reactor IN_LIST BINE_ALL_REACTORS)
        list(JOIN BINE_ALL_REACTORS " " known)
        message(FATAL_ERROR "BINE_TEST_REACTORS: no reactor is called '${reactor}'; there are: ${known}")
    endif()
endforeach()
if(NOT BINE_HAVE_QT)
    list(FILTER BINE_REACTORS EXCLUDE REGEX "qt")
endif()
if(NOT BINE_HAVE_GTK)
    list(FILTER BINE_REACTORS EXCLUDE REGEX "glib|gtk")
endif()
list(JOIN BINE_REACTORS "\n" lines)
file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/results/reactors CONTENT "${lines}\n" @ONLY)

# Tests share one precompiled header and, between clones, the compiler's cache: so they are compiled with the same macros.
# Qt Test defines the folders of each test, which none of them reads. A test that links QtGui or QtWidgets compiles by itself.
# Of the tests themselves only lines are kept for debuggers: all variables would cost a third of the time to compile them.
# For a debugger in a test: -DBINE_TEST_DEBUG_INFO=-g
set(BINE_TEST_DEBUG_INFO -g1 CACHE STRING "The compiler's option for debug information in tests of debug builds")
set(BINE_TEST_OPTIONS $<$<CONFIG:Debug>:${BINE_TEST_DEBUG_INFO}>)
get_target_property(definitions Qt6::Test INTERFACE_COMPILE_DEFINITIONS)
list(FILTER definitions EXCLUDE REGEX "QT_TESTCASE_")
set_target_properties(Qt6::Test PROPERTIES INTERFACE_COMPILE_DEFINITIONS "${definitions}")
if(BINE_PCH)
    file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/tests/pch.cpp CONTENT "int main() {}\n")
    add_executable(bine_tests_pch EXCLUDE_FROM_ALL ${PROJECT_BINARY_DIR}/tests/pch.cpp)
    bine_target_defaults(bine_tests_pch)
    target_compile_options(bine_tests_pch PRIVATE ${BINE_TEST_OPTIONS})
    target_link_libraries(bine_tests_pch PRIVATE Qt6::Test)
    target_precompile_headers(bine_tests_pch PRIVATE <QtTest/QtTest> <chrono> <coroutine> <functional> <map> <memory>
                              <optional> <string> <string_view> <thread> <variant> <vector>)
endif()

# What .ci/run builds under TSan: the tests labelled threads.
add_custom_target(bine_threads_tests)

function(bine_test_executable name)
    cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;LIBS;LABELS")
    if(NOT arg_SOURCES)
        message(FATAL_ERROR "${name}: a test needs SOURCES")
    endif()
    add_executable(${name} ${arg_SOURCES})
    bine_target_defaults(${name})
    target_link_libraries(${name} PRIVATE ${BINE_TEST_LIBS} ${arg_LIBS})
    target_compile_options(${name} PRIVATE ${BINE_TEST_OPTIONS})
    target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR}/tests)
    target_compile_definitions(${name} PRIVATE
                               $<$<BOOL:${BINE_HAVE_QT}>:BINE_HAVE_QT=1> $<$<BOOL:${BINE_HAVE_GTK}>:BINE_HAVE_GTK=1>)
    set_target_properties(${name} PROPERTIES AUTOMOC ON RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
    if(BINE_PCH AND NOT arg_LIBS MATCHES "Qt6::|PkgConfig::")
        target_precompile_headers(${name} REUSE_FROM bine_tests_pch)
        # The tests include their own x.moc: what CMake generates beside is empty, and not worth loading the header for.
        set_source_files_properties(${CMAKE_CURRENT_BINARY_DIR}/${name}_autogen/mocs_compilation.cpp
                                    PROPERTIES SKIP_PRECOMPILE_HEADERS ON)
    endif()
    if("threads" IN_LIST arg_LABELS)
        add_dependencies(bine_threads_tests ${name})
    endif()
endfunction()

# bine_register_test(<target> <test name> [ENVIRONMENT <VAR=value>...] [LABELS <label>...])
function(bine_register_test target test)
    cmake_parse_arguments(PARSE_ARGV 2 arg "" "" "ENVIRONMENT;LABELS")
    add_test(NAME ${test} COMMAND ${target} -o ${PROJECT_BINARY_DIR}/results/${test}.txt,txt -o -,txt)
    set_tests_properties(${test} PROPERTIES
        ENVIRONMENT "QT_QPA_PLATFORM=offscreen;${BINE_TEST_ENVIRONMENT};${arg_ENVIRONMENT}"
        LABELS "${arg_LABELS}"
        TIMEOUT ${BINE_TEST_TIMEOUT})
endfunction()

# bine_add_test(<name> SOURCES <file>... [LIBS <target>...] [LABELS <label>...])
# One executable, one test. Labels with a meaning: threads (runs under TSan), gui (see bine_add_gui_test).
function(bine_add_test name)
    cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;LIBS;LABELS")
    bine_test_executable(${name} SOURCES ${arg_SOURCES} LIBS ${arg_LIBS} LABELS ${arg_LABELS})
    bine_register_test(${name} ${name} LABELS ${arg_LABELS})
endfunction()

# bine_add_conformance(<name> SOURCES <file>... [LIBS <target>...] [LABELS <label>...] [REACTORS <reactor>...])
# One executable, a test <name>.<reactor> for each reactor; the executable reads BINE_REACTOR.
function(bine_add_conformance name)
    cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;LIBS;LABELS;REACTORS")
    bine_test_executable(${name} SOURCES ${arg_SOURCES} LIBS ${arg_LIBS} LABELS ${arg_LABELS})
    foreach(reactor IN LISTS BINE_REACTORS)
        if(arg_REACTORS AND NOT reactor IN_LIST arg_REACTORS)
            continue()
        endif()
        set(environment BINE_REACTOR=${reactor})
        if(reactor STREQUAL "qt-noglib")
            list(APPEND environment QT_NO_GLIB=1)
        endif()
        bine_register_test(${name} ${name}.${reactor} ENVIRONMENT ${environment}
                           LABELS conformance ${reactor} ${arg_LABELS})
    endforeach()
endfunction()

# bine_add_gui_test(<name> SOURCES <file>... [LIBS <target>...] [LABELS <label>...])
# A test that shows a real window: label gui, alone on the machine, on the display there is or on an Xvfb of its own.
function(bine_add_gui_test name)
    cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;LIBS;LABELS")
    bine_test_executable(${name} SOURCES ${arg_SOURCES} LIBS ${arg_LIBS} LABELS ${arg_LABELS})
    add_test(NAME ${name} COMMAND ${PROJECT_SOURCE_DIR}/tools/with-display $<TARGET_FILE:${name}>
             -o ${PROJECT_BINARY_DIR}/results/${name}.txt,txt -o -,txt)
    set_tests_properties(${name} PROPERTIES
        ENVIRONMENT "QT_QPA_PLATFORM=xcb;GDK_BACKEND=x11;GSK_RENDERER=cairo;${BINE_TEST_ENVIRONMENT}"
        LABELS "gui;${arg_LABELS}"
        RUN_SERIAL ON
        SKIP_RETURN_CODE 77
        TIMEOUT ${BINE_TEST_TIMEOUT})
endfunction()
