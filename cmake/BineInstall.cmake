# install(): headers, libraries, the CMake package Bine (components Core, Net, Application, Qt, Gtk) and pkg-config files. All of it
# may be moved after installation.
if(NOT BINE_INSTALL)
    return()
endif()
include(CMakePackageConfigHelpers)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/Bine)
set(pkgconfig_dir ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
cmake_path(RELATIVE_PATH CMAKE_INSTALL_PREFIX BASE_DIRECTORY ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig
           OUTPUT_VARIABLE prefix_from_pc)
get_property(libraries GLOBAL PROPERTY BINE_LIBRARIES)

foreach(name IN LISTS libraries)
    set(target bine_${name})
    install(TARGETS ${target} EXPORT Bine_${name} COMPONENT ${name})
    install(EXPORT Bine_${name} NAMESPACE Bine:: FILE Bine_${name}.cmake DESTINATION ${package_dir} COMPONENT ${name})

    get_target_property(folders ${target} BINE_FOLDERS)
    foreach(folder IN LISTS folders)
        if(IS_DIRECTORY ${PROJECT_SOURCE_DIR}/${folder})
            install(DIRECTORY ${PROJECT_SOURCE_DIR}/${folder}/ DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/bine/${folder}
                    COMPONENT ${name} FILES_MATCHING PATTERN "*.h")
        endif()
    endforeach()

    get_target_property(description ${target} BINE_DESCRIPTION)
    get_target_property(requires ${target} BINE_REQUIRES)
    list(JOIN requires " " requires)
    configure_file(cmake/bine.pc.in ${PROJECT_BINARY_DIR}/bine-${name}.pc @ONLY)
    install(FILES ${PROJECT_BINARY_DIR}/bine-${name}.pc DESTINATION ${pkgconfig_dir} COMPONENT ${name})
endforeach()

configure_package_config_file(cmake/BineConfig.cmake.in ${PROJECT_BINARY_DIR}/BineConfig.cmake
                              INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/BineConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/BineConfig.cmake ${PROJECT_BINARY_DIR}/BineConfigVersion.cmake
        DESTINATION ${package_dir} COMPONENT core)

# The checker of users' sources, with the modules that it reads beside it.
install(PROGRAMS tools/check-coroutines DESTINATION ${CMAKE_INSTALL_BINDIR} RENAME bine-check-coroutines COMPONENT core)
install(FILES tools/cpp_text.py tools/deferred_use.py DESTINATION share/bine COMPONENT core)
