# Options, and the tools that make building faster. Tools are used only when Bine is the top project: a project that
# embeds Bine decides for itself.
option(BUILD_SHARED_LIBS "Build shared libraries" ON)
option(BINE_BUILD_TESTS "Build the tests (Qt Test)" ${PROJECT_IS_TOP_LEVEL})
option(BINE_BUILD_DEMOS "Build the demo programs" ${PROJECT_IS_TOP_LEVEL})
option(BINE_BUILD_BENCH "Build the benchmarks" ${PROJECT_IS_TOP_LEVEL})
option(BINE_INSTALL "Make install rules" ON)
option(BINE_WERROR "Warnings in Bine's own sources are errors" OFF)
option(BINE_PCH "Precompile Qt Test and the standard library for the tests" ON)
option(BINE_MOLD "Link with mold when it is there" ${PROJECT_IS_TOP_LEVEL})
option(BINE_CCACHE "Compile through ccache when it is there" ${PROJECT_IS_TOP_LEVEL})

set(BINE_WITH_QT AUTO CACHE STRING "Build Bine::Qt: ON, OFF, or AUTO (when Qt 6.4 is there)")
set(BINE_WITH_GTK AUTO CACHE STRING "Build Bine::Gtk: ON, OFF, or AUTO (when GLib 2.74 is there)")
set(BINE_SANITIZE "" CACHE STRING "Sanitizers for Bine's own targets: 'address;undefined', 'thread', or nothing")

set(BINE_ALL_REACTORS epoll poll select embedded qt qt-noglib glib glib-context qt+gtk)
set(BINE_TEST_REACTORS ${BINE_ALL_REACTORS} CACHE STRING "Reactors the conformance suite runs on")

if(PROJECT_IS_TOP_LEVEL AND NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
    set(CMAKE_BUILD_TYPE RelWithDebInfo CACHE STRING "Debug, Release, RelWithDebInfo or MinSizeRel" FORCE)
endif()

set(BINE_LINKER "the compiler's own")
if(BINE_MOLD)
    find_program(BINE_MOLD_PROGRAM mold)
    if(BINE_MOLD_PROGRAM)
        add_link_options(-fuse-ld=mold)
        set(BINE_LINKER mold)
    endif()
endif()

# Paths below the base directory are hashed relative to the build tree, so that clones of the source share their cache
# wherever they lie. The sloppiness is what precompiled headers need.
set(BINE_CACHE "no cache")
set(cache_base ${PROJECT_BINARY_DIR})
cmake_path(IS_PREFIX PROJECT_SOURCE_DIR ${PROJECT_BINARY_DIR} built_inside)
if(built_inside)
    set(cache_base ${PROJECT_SOURCE_DIR})
endif()
if(BINE_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
    find_program(BINE_CCACHE_PROGRAM ccache)
    if(BINE_CCACHE_PROGRAM)
        set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_BASEDIR=${cache_base}
            CCACHE_NOHASHDIR=1 CCACHE_SLOPPINESS=pch_defines,time_macros ${BINE_CCACHE_PROGRAM})
        set(BINE_CACHE ccache)
    endif()
endif()
