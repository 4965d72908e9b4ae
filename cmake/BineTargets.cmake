# bine_library, bine_target_defaults, bine_optional_folder, bine_add_demo.

# Every public folder is reached as bine/<folder>/x.h in the build tree as in the install tree.
set(BINE_BUILD_INCLUDE ${PROJECT_BINARY_DIR}/include)
file(MAKE_DIRECTORY ${BINE_BUILD_INCLUDE}/bine)

# Adds a folder if it has a CMakeLists.txt.
function(bine_optional_folder folder)
    if(EXISTS ${CMAKE_CURRENT_SOURCE_DIR}/${folder}/CMakeLists.txt)
        add_subdirectory(${folder})
    endif()
endfunction()

# What all of Bine's own targets are compiled with.
function(bine_target_defaults target)
    target_compile_features(${target} PUBLIC cxx_std_20)
    set_target_properties(${target} PROPERTIES CXX_EXTENSIONS OFF)
    target_compile_options(${target} PRIVATE -Wall -Wextra $<$<BOOL:${BINE_WERROR}>:-Werror>)
    if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
        # GCC 12, optimising, warns of "text" + string (its bug 105651).
        target_compile_options(${target} PRIVATE -Wno-restrict)
    endif()
    if(BINE_SANITIZE)
        list(JOIN BINE_SANITIZE "," sanitizers)
        target_compile_options(${target} PRIVATE -fsanitize=${sanitizers} -fno-sanitize-recover=all
                               -fno-omit-frame-pointer)
        target_link_options(${target} PRIVATE -fsanitize=${sanitizers})
    endif()
endfunction()

# bine_library(<name> FOLDERS <folder>... DESCRIPTION <text> [REQUIRES <pkg-config module>...])
# makes bine_<name>, its alias Bine::<Name> and the library libbine-<name>; each folder adds its own sources with
# target_sources(bine_<name> PRIVATE x.cpp).
function(bine_library name)
    cmake_parse_arguments(PARSE_ARGV 1 arg "" "DESCRIPTION" "FOLDERS;REQUIRES")
    set(target bine_${name})
    string(SUBSTRING ${name} 0 1 initial)
    string(SUBSTRING ${name} 1 -1 rest)
    string(TOUPPER ${initial} initial)
    set(exported ${initial}${rest})

    add_library(${target})
    add_library(Bine::${exported} ALIAS ${target})
    bine_target_defaults(${target})
    # What the library calls of its own is its own, as Clang has it anyway.
    target_compile_options(${target} PRIVATE $<$<CXX_COMPILER_ID:GNU>:-fno-semantic-interposition>)
    set_target_properties(${target} PROPERTIES
        OUTPUT_NAME bine-${name}
        EXPORT_NAME ${exported}
        VERSION ${PROJECT_VERSION}
        SOVERSION 0
        POSITION_INDEPENDENT_CODE ON
        CXX_VISIBILITY_PRESET hidden
        VISIBILITY_INLINES_HIDDEN ON
        BINE_FOLDERS "${arg_FOLDERS}"
        BINE_DESCRIPTION "${arg_DESCRIPTION}"
        BINE_REQUIRES "${arg_REQUIRES}")
    target_include_directories(${target} PUBLIC
        $<BUILD_INTERFACE:${BINE_BUILD_INCLUDE}>
        $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)

    foreach(folder IN LISTS arg_FOLDERS)
        file(CREATE_LINK ${PROJECT_SOURCE_DIR}/${folder} ${BINE_BUILD_INCLUDE}/bine/${folder} SYMBOLIC)
        bine_optional_folder(${folder})
    endforeach()

    # A library of headers only still needs one translation unit.
    get_target_property(sources ${target} SOURCES)
    if(NOT sources)
        file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/${target}.cpp CONTENT "// headers only\n")
        target_sources(${target} PRIVATE ${PROJECT_BINARY_DIR}/${target}.cpp)
    endif()
    set_property(GLOBAL APPEND PROPERTY BINE_LIBRARIES ${name})
endfunction()

# bine_add_demo(<name> SOURCES <file>... LIBS <target>...)
function(bine_add_demo name)
    cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;LIBS")
    add_executable(${name} ${arg_SOURCES})
    bine_target_defaults(${name})
    target_link_libraries(${name} PRIVATE ${arg_LIBS})
    set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/demo_apps)
endfunction()
